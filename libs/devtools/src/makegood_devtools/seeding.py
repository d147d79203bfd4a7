"""People, plans, schedules and rooms for a load run, made through the gateway as operators and providers would."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from makegood_devtools.client import Gateway
from makegood_devtools.keys import Login
from makegood_devtools.together import together

LENGTH_MINUTES = 45
SLOTS_A_DAY = 24 * 60 // LENGTH_MINUTES
HORIZON_DAYS = 365
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class LoadMember:
    """A member of the run, with their own room and slots."""

    login: Login
    room_id: str
    provider_id: str
    lane: int
    lanes: int

    @property
    def subject(self) -> str:
        return self.login.subject

    def slot(self, turn: int, first_day: datetime) -> datetime:
        """The start of the member's slot number `turn`. Slots of different members never overlap."""
        return first_day + (turn * self.lanes + self.lane) * timedelta(minutes=LENGTH_MINUTES)

    @property
    def turns(self) -> int:
        """How many slots the member has within the schedule's horizon."""
        return (HORIZON_DAYS - 3) * SLOTS_A_DAY // self.lanes


@dataclass(frozen=True)
class Population:
    members: list[LoadMember]
    first_day: datetime
    """The first midnight (UTC) whose slots all have enough notice."""


async def populate(
    gateway: Gateway, now: datetime, *, members: int, providers: int, credits: int, mailboxes: bool = False
) -> Population:
    """Creates `members` with `credits` additional credits each, and `providers` who work around the clock.

    `now` is product time. `mailboxes`: all get contact details, so that messages are sent. Subjects contain the run's id, so
    that runs do not collide.
    """
    run = uuid.uuid4().hex[:8]
    # The gateway's rate limit is per person: the office has as many hands as the run has members.
    office = [gateway.person("support", f"load-{run}-support-{number}") for number in range(max(2, members // 4))]
    schedule = {
        "time_zone": "UTC",
        "weekly": [{"day": day, "from": "00:00", "to": "24:00"} for day in _DAYS],
        "minimum_notice_minutes": 0,
        "horizon_days": HORIZON_DAYS,
        "session_types": [{"length_minutes": LENGTH_MINUTES, "modalities": ["video"]}],
    }

    async def provider(number: int) -> str:
        person = gateway.person("provider", f"load-{run}-provider-{number}")
        await person.put(f"/v1/providers/{person.subject}/schedule", schedule)
        if mailboxes:
            await _contact(gateway, "provider", person.subject)
        return person.subject

    provider_ids = await together(16, provider, range(providers))
    lanes = -(-members // providers)

    async def member(number: int) -> LoadMember:
        support = office[number % len(office)]
        subject = f"load-{run}-member-{number}"
        provider_id = provider_ids[number % providers]
        enrolment = {"plan_id": "sponsored-12", "starts_on": (now - timedelta(days=1)).date().isoformat()}
        await support.put(f"/v1/members/{subject}/enrolment", enrolment)
        proposal = await support.post(f"/v1/members/{subject}/adjustments", {"amount": credits, "reason": "load run"})
        if proposal.status == HTTPStatus.ACCEPTED:  # so many credits need a second person (CRED-5)
            second = office[(number + 1) % len(office)]
            await second.post(f"/v1/members/{subject}/adjustment-proposals/{proposal['id']}/approve")
        room = await support.post("/v1/rooms", {"member_id": subject, "provider_id": provider_id})
        if mailboxes:
            await _contact(gateway, "member", subject)
        return LoadMember(gateway.login("member", subject), room["id"], provider_id, number // providers, lanes)

    people = await together(32, member, range(members))
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Population(people, midnight + timedelta(days=2))


async def _contact(gateway: Gateway, role: str, subject: str) -> None:
    contact = {"name": subject, "email": f"{subject}@example.com", "time_zone": "UTC"}
    await gateway.person(role, subject).put(f"/v1/people/{subject}/contact", contact)
