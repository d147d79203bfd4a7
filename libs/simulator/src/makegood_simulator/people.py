"""The people of a schedule and what they ask for: requests to the services' real HTTP handlers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_contracts.topics import ServiceName

from makegood_simulator.steps import Step, moment
from makegood_simulator.virtual import START

MEMBERS: Final = {"robin": "out-of-pocket-4", "kim": "out-of-pocket-4", "alex": "insurance-copay"}
"""Members and their plans. Everybody has a room with both providers."""
PROVIDERS: Final = ("lee", "moreau")
LENGTH: Final = {"out-of-pocket-4": 30, "insurance-copay": 45}
_NAMESPACE: Final = uuid.UUID("5b0e7ac2-51a4-4a0b-9e0e-2f6d1c1f0c11")
_HOURS: Final = [
    {"day": day, "from": "08:00", "to": "18:00"} for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
]
SCHEDULE: Final[dict[str, Any]] = {
    "time_zone": "UTC",
    "weekly": _HOURS,
    "session_types": [
        {"length_minutes": 30, "modalities": ["video"]},
        {"length_minutes": 45, "modalities": ["video"]},
    ],
}
BY_PROVIDER: Final = frozenset({"confirm", "decline", "no-show", "extend"})
OF_SESSIONS: Final = frozenset(
    {"confirm", "decline", "cancel", "join", "leave", "no-show", "reschedule", "extend", "dispute", "correct"}
)


@dataclass
class Request:
    """A request as it was sent first. A repetition is the same, with the same key."""

    name: str
    does: str
    service: ServiceName
    role: str
    subject: str
    method: str
    path: str
    body: Any
    session: str = ""
    if_match: str = ""
    sent_at: datetime = START
    status: int = 0
    """The answer's; 0 while none has arrived."""
    answer: Any = None
    lost: int = 0
    """How many of its answers never arrived."""

    @property
    def key(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.name))

    @property
    def unknown(self) -> bool:
        """Whether it may have been done, and nobody was told."""
        return not self.status and self.lost > 0

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300


@dataclass
class Memory:
    """What the people remember: their requests by name, their rooms, and the sessions they were told of."""

    requests: dict[str, Request] = field(default_factory=dict)
    rooms: dict[tuple[str, str], str] = field(default_factory=dict)

    def session_id(self, name: str) -> str | None:
        """The id of the session that the request of this name booked, if its answer arrived."""
        booked = self.requests.get(name)
        answer = booked.answer if booked is not None else None
        return answer.get("id") if booked and booked.does == "book" and isinstance(answer, dict) else None

    def parties(self, name: str) -> tuple[str, str]:
        """The member and the provider of a booking."""
        booked = self.requests[name]
        member, _, provider = str(booked.session).partition("/")
        return member, provider


def request_of(step: Step, memory: Memory, version: str, now: datetime) -> Request | None:
    """The request that the step asks for, or None if it is about something that does not exist."""
    options = step.options
    if step.does == "book":
        member, provider = options["member"], options["provider"]
        room = memory.rooms.get((member, provider))
        if room is None:
            return None
        body = {
            "room_id": room,
            "starts_at": options["starts_at"],
            "length_minutes": LENGTH[MEMBERS[member]],
            "modality": "video",
            "time_zone": "UTC",
        }
        by = options.get("by", "member")
        return Request(
            step.name, "book", "booking", by, member if by == "member" else provider, "POST", "/v1/sessions", body,
            session=f"{member}/{provider}", sent_at=now,
        )  # fmt: skip
    if step.does in OF_SESSIONS:
        return _of_session(step, memory, version, now)
    return _of_people(step, memory, now)


def _of_session(step: Step, memory: Memory, version: str, now: datetime) -> Request | None:
    session_id = memory.session_id(step.session)
    if session_id is None:
        return None
    member, provider = memory.parties(step.session)
    role = step.options.get("by", "provider" if step.does in BY_PROVIDER else "member")
    subject = {"member": member, "provider": provider, "support": "sam"}[role]
    body: dict[str, Any] = {}
    match step.does:
        case "cancel":
            body = {"accept_forfeit": True}
        case "reschedule":
            body = {"starts_at": step.options["starts_at"], "accept_forfeit": True}
        case "extend":
            booked = memory.requests[step.session].body
            length = timedelta(minutes=booked["length_minutes"] + step.options["minutes"])
            body = {"ends_at": (moment(booked["starts_at"]) + length).isoformat()}
        case "dispute":
            body = {"claim": "i_was_there"}
        case "correct":
            body = {"outcome": step.options["outcome"], "reason": "Both of them say so."}
    if_match = version if step.does in ("reschedule", "extend") else ""
    path = f"/v1/sessions/{session_id}/{step.does}"
    return Request(
        step.name, step.does, "booking", role, subject, "POST", path, body, step.session, if_match, sent_at=now
    )


def _of_people(step: Step, memory: Memory, now: datetime) -> Request | None:
    options = step.options
    service: ServiceName
    match step.does:
        case "time-off":
            body = {"starts_at": options["from"], "ends_at": options["to"], "sessions": options["sessions"]}
            path = f"/v1/providers/{options['provider']}/time-off"
            service, role, subject, method = "availability", "provider", options["provider"], "POST"
        case "wait":
            room = memory.rooms.get((options["member"], options["provider"]))
            if room is None:
                return None
            length = LENGTH[MEMBERS[options["member"]]]
            body = {"from": options["from"], "to": options["to"], "length_minutes": length, "modality": "video"}
            path = f"/v1/rooms/{room}/waitlist"
            service, role, subject, method = "availability", "member", options["member"], "POST"
        case "adjust":
            body = {"amount": options["amount"], "reason": "Goodwill"}
            path = f"/v1/members/{options['member']}/adjustments"
            service, role, subject, method = "credits", "support", "sam", "POST"
        case "return":
            session_id = memory.session_id(step.session)
            if session_id is None:
                return None
            body = {"amount": 1, "session_id": session_id, "reason": "Goodwill"}
            member, _ = memory.parties(step.session)
            path = f"/v1/members/{member}/adjustments"
            service, role, subject, method = "credits", "support", "sam", "POST"
        case "write":
            room = memory.rooms.get((options["member"], options["provider"]))
            if room is None:
                return None
            body = {"text": "See you there."}
            path = f"/v1/rooms/{room}/messages"
            service, role, subject, method = "notifications", "member", options["member"], "POST"
        case "schedule":
            body, path = SCHEDULE, f"/v1/providers/{options['provider']}/schedule"
            service, role, subject, method = "availability", "provider", options["provider"], "PUT"
        case "contact":
            person = options["person"]
            body = {"name": person.title(), "email": f"{person}@example.com", "time_zone": "UTC"}
            path = f"/v1/people/{person}/contact"
            service, role, subject, method = "notifications", options["role"], person, "PUT"
        case "enrol":
            body = {"plan_id": MEMBERS[options["member"]], "starts_on": f"{START:%Y-%m-%d}"}
            path = f"/v1/members/{options['member']}/enrolment"
            service, role, subject, method = "credits", "support", "sam", "PUT"
        case "open-room":
            body = {"member_id": options["member"], "provider_id": options["provider"]}
            service, role, subject, method, path = "booking", "support", "sam", "POST", "/v1/rooms"
        case _:
            raise ValueError(f"nobody knows how to {step.does}")
    return Request(
        step.name,
        step.does,
        service,
        role,
        subject,
        method,
        path,
        body,
        step.session,
        sent_at=now,
    )


def opening() -> list[Step]:
    """How every schedule begins: providers with schedules, members with plans, and a room for each pair."""
    asked: list[tuple[str, dict[str, Any]]] = []
    for provider in PROVIDERS:
        asked += [("contact", {"person": provider, "role": "provider"}), ("schedule", {"provider": provider})]
    for member in MEMBERS:
        asked += [("contact", {"person": member, "role": "member"}), ("enrol", {"member": member})]
    asked += [("open-room", {"member": m, "provider": p}) for m in MEMBERS for p in PROVIDERS]
    return [Step("request", name=f"opening-{n}", does=does, options=options) for n, (does, options) in enumerate(asked)]
