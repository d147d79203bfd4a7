"""What requests are about: two casts that have nothing to do with each other, everybody who may ask, and how each asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from makegood_chassis.http.components import resolved
from makegood_devtools.client import Person, access_reason
from makegood_testkit.platform import Cast, Platform

from .rights_table import RIGHTS, Actor, Right

Document = Mapping[str, Any]
_CHANGES = frozenset({"POST", "PUT", "DELETE", "PATCH"})
_FILTERS = frozenset({"room_id", "session_id"})
"""What a list is narrowed to once more, to see whether naming other people's things shows them."""


@dataclass(frozen=True)
class Operation:
    """One operation of a document, with what a request to it needs."""

    name: str
    parameters: tuple[Document, ...] = ()
    example: Mapping[str, Any] | None = None

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def right(self) -> Right:
        return RIGHTS[self.name]


def operations(document: Document) -> list[Operation]:
    """All of a document."""
    return [
        Operation(
            f"{method.upper()} {path}",
            tuple(resolved(operation.get("parameters", []), document)),
            _example(document, operation),
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method.upper() in _CHANGES | {"GET", "HEAD"}
    ]


def _example(document: Document, operation: Document) -> Mapping[str, Any] | None:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    for choice in (schema, *schema.get("anyOf", ())) if schema else ():
        if "$ref" in choice:
            (example, *_) = document["components"]["schemas"][choice["$ref"].rpartition("/")[2]]["examples"]
            return dict(example)
    return None


@dataclass
class Scene:
    """Two casts that have nothing to do with each other, and the things that the requests are about: those of the first."""

    cast: Cast
    stranger: Cast
    people: Mapping[Actor, Person | None]
    values: dict[str, Any]
    states: list[dict[str, Any]] = field(default_factory=list)
    """How everything stood before and after the requests that were to be refused."""

    @classmethod
    async def set(cls, platform: Platform) -> Scene:
        cast, stranger = await asyncio.gather(
            platform.cast(plan="out-of-pocket-4", length=45), platform.cast(plan="insurance-copay", length=45)
        )
        purchase = (await cast.member.post("/v1/purchases", {"quantity": 1}))["id"]
        today = (await platform.now()).date()
        enrolment = {"plan_id": "insurance-copay", "starts_on": today.isoformat()}
        await cast.support.put(f"/v1/members/{cast.member.subject}/enrolment", enrolment)
        ops = platform.person("ops", f"ops-{uuid.uuid4().hex[:8]}")
        session = await cast.confirmed(timedelta(days=5))
        venue = await ops.post("/v1/venues", {"name": "Room 4", "time_zone": "UTC"})
        await ops.post(f"/v1/venues/{venue['id']}/check-in-code")
        invoices = await cast.member.get(f"/v1/members/{cast.member.subject}/invoices")
        start = await cast.start_in(timedelta(days=8))
        people: dict[Actor, Person | None] = {
            "member": cast.member,
            "provider": cast.provider,
            "other member": stranger.member,
            "other provider": stranger.provider,
            "support": cast.support,
            "ops": ops,
            "nobody": None,
        }
        values = {
            "room_id": cast.room_id,
            "session_id": session["id"],
            "member_id": cast.member.subject,
            "person_id": cast.member.subject,
            "provider_id": cast.provider.subject,
            "other_provider_id": stranger.provider.subject,
            "venue_id": venue["id"],
            "invoice_id": invoices["items"][0]["id"],
            "purchase_id": purchase,
            "plan_id": enrolment["plan_id"],
            "starts_on": enrolment["starts_on"],
            "length_minutes": cast.length,
            "modality": cast.modality,
            "time_zone": cast.zone,
            "starts_at": start.isoformat(),
            "ends_at": (start + timedelta(minutes=cast.length)).isoformat(),
            "extended_end": (datetime.fromisoformat(session["ends_at"]) + timedelta(minutes=15)).isoformat(),
            "from": start.isoformat(),
            "reason": "person_asked",
            "to": (start + timedelta(days=2)).isoformat(),
        }
        return cls(cast, stranger, people, values)

    async def value(self, name: str) -> Any:
        """What stands for a parameter; what it names is there."""
        if name not in self.values:
            self.values[name] = await self.made(name)
        return self.values[name]

    async def made(self, name: str) -> Any:
        """The same thing anew, where a request may take it away."""
        match name:
            case "time_off_id":
                off = {"starts_at": self._in_days(40), "ends_at": self._in_days(41)}
                return (await self.cast.provider.post(f"/v1/providers/{self.cast.provider.subject}/time-off", off))[
                    "id"
                ]
            case "entry_id":
                wait = {name: self.values[name] for name in ("from", "to", "length_minutes", "modality")}
                return (await self.cast.member.post(f"/v1/rooms/{self.cast.room_id}/waitlist", wait))["id"]
            case "proposal_id":
                colleague = self.cast.platform.person("support", f"support-{uuid.uuid4().hex[:8]}")
                body = {"amount": 100, "reason": "Goodwill"}
                path = f"/v1/members/{self.cast.member.subject}/adjustments"
                return (await colleague.post(path, body))["id"]
            case "token":
                mail = await self.cast.inbox().wait_for("Your session is confirmed! Mark your calendar.")
                link = (await self.cast.inbox().headers(mail))["List-Unsubscribe"]
                return link.strip("<>").rpartition("/")[2]
            case "secret":
                feed = await self.cast.member.post(f"/v1/people/{self.cast.member.subject}/calendar-feed")
                return str(feed["url"]).rpartition("/")[2].removesuffix(".ics")
        return self.values[name]

    async def state(self) -> dict[str, Any]:
        """Everything that a request could have changed."""
        cast, values = self.cast, self.values
        member, provider = f"/v1/members/{cast.member.subject}", f"/v1/providers/{cast.provider.subject}"
        looks = (
            (
                cast.member,
                [f"/v1/people/{cast.member.subject}/contact", f"/v1/rooms/{cast.room_id}/messages", "/v1/sessions"],
            ),
            (
                cast.provider,
                [f"/v1/people/{cast.provider.subject}/contact", f"{provider}/schedule", f"{provider}/time-off"],
            ),
            (
                cast.support,
                [
                    f"/v1/sessions/{values['session_id']}",
                    f"/v1/rooms/{cast.room_id}",
                    f"{member}/credits",
                    f"{member}/ledger",
                    f"/v1/venues/{values['venue_id']}",
                ],
            ),
        )
        state = {path: (await person.get(path)).body for person, paths in looks for path in paths}
        # What the platform itself has to say comes a moment after what it is about.
        chat = state[f"/v1/rooms/{cast.room_id}/messages"]
        chat["items"] = [message for message in chat["items"] if message["kind"] != "system"]
        return state

    def _in_days(self, days: int) -> str:
        return (datetime.fromisoformat(self.values["starts_at"]) + timedelta(days=days)).isoformat()

    async def ask(
        self, operation: Operation, actor: Actor, *, filtered: bool = False, why: str | None = "support_request"
    ) -> httpx.Response:
        """The answer to a request that is right in every other way. `why`: the reason that support and ops give."""
        query: dict[str, Any] = {}
        path = operation.path
        headers: dict[str, str] = {}
        right = RIGHTS.get(operation.name)
        taken = operation.method == "DELETE" and right is not None and right.expected(actor) == "let in"
        for parameter in operation.parameters:
            name, where = str(parameter["name"]), parameter["in"]
            if where == "path":
                value = await (self.made(name) if taken else self.value(name))
                path = path.replace(f"{{{name}}}", str(value))
            elif where == "query" and (parameter.get("required") or (filtered and name in _FILTERS)):
                query[name] = await self.value(name)
            elif name.lower() == "if-match":
                headers["If-Match"] = "*"
            elif name.lower() == "idempotency-key":
                headers["Idempotency-Key"] = str(uuid.uuid4())
        person = self.people[actor]
        if person is not None:
            headers |= {"Authorization": f"Bearer {person.token}", **access_reason(person.role, why or "")}
        if why is None:
            headers.pop("X-Access-Reason", None)
        body = self._body(operation)
        http = self.cast.platform.gateway.http
        while True:
            request = http.build_request(operation.method, path, params=query, json=body, headers=headers)
            answer = await http.send(request, stream=True)
            try:
                # A stream never ends by itself; that it began is all there is to know.
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    await answer.aread()
            finally:
                await answer.aclose()
            if answer.status_code != 429:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    def _body(self, operation: Operation) -> dict[str, Any] | None:
        if operation.example is None:
            return None
        right = RIGHTS.get(operation.name)
        body = {name: self.values.get(name, value) for name, value in operation.example.items()}
        for name, value in (right.body if right else {}).items():
            body[name] = value.format_map(self.values) if isinstance(value, str) else value
        return body
