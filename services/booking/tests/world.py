"""The booking service on a real PostgreSQL, driven as the chassis drives it: each batch in one transaction."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from makegood_booking.dependencies import Dependencies
from makegood_chassis.clock import FixedClock
from makegood_chassis.messaging.handlers import Due
from makegood_chassis.service import Service
from makegood_contracts.envelope import Cause, Received, decode
from makegood_contracts.events import (
    CreditCorrected,
    CreditForfeited,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceVoided,
    MoveCreditHeld,
    MoveCreditRefused,
    SchedulePublished,
    SessionType,
    SettleCause,
    SlotHeld,
    SlotMoved,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
    WeeklyHours,
)
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Reason
from makegood_devtools.client import access_reason

from .examples import NOW, START

ISSUER = "https://identity.makegood.invalid"
CAUSE = Cause("story", "test")
Json = dict[str, Any]


class Answers:
    """The events with which availability and credits answer."""

    @staticmethod
    def slot_held(session: Json) -> SlotHeld:
        return SlotHeld(**_slot(session), hold_until=NOW + timedelta(minutes=15))

    @staticmethod
    def slot_refused(session: Json, *codes: str) -> SlotRefused:
        return SlotRefused(**_slot(session), reasons=_reasons(codes or ("slot-taken",)))

    @staticmethod
    def slot_lapsed(session: Json, cause: Any = "lapsed") -> SlotReleased:
        return SlotReleased(**_slot(session), cause=cause, reopened=True)

    @staticmethod
    def credit_held(session: Json, *, co_pay: bool = False) -> CreditHeld:
        return CreditHeld(
            session_id=session["id"],
            member_id=session["member_id"],
            hold_id=new_id(),
            funding="co_pay" if co_pay else "credit",
            plan_id="plan",
            available_after=3,
            hold_until=NOW + timedelta(minutes=15),
        )

    @staticmethod
    def credit_refused(session: Json, *codes: str, purchasable: bool = False) -> CreditRefused:
        return CreditRefused(
            session_id=session["id"],
            member_id=session["member_id"],
            reasons=_reasons(codes or ("no-session-credits",)),
            purchasable=purchasable,
        )

    @staticmethod
    def credit_returned(session: Json, cause: SettleCause) -> CreditReturned:
        return CreditReturned(**_movement(session), cause=cause, source="plan", expires_at=None)

    @staticmethod
    def credit_forfeited(session: Json, cause: SettleCause) -> CreditForfeited:
        return CreditForfeited(**_movement(session), cause=cause)

    @staticmethod
    def co_pay_void(session: Json, cause: SettleCause = "lapsed") -> InvoiceVoided:
        return InvoiceVoided(
            invoice_id=new_id(),
            member_id=session["member_id"],
            session_id=session["id"],
            amount_minor=2500,
            currency="USD",
            cause=cause,
        )

    @staticmethod
    def move_held(session: Json, move_id: str, how: Any = "kept", funding: Any = "credit") -> MoveCreditHeld:
        return MoveCreditHeld(
            session_id=session["id"],
            member_id=session["member_id"],
            move_id=move_id,
            hold_id=new_id(),
            how=how,
            funding=funding,
        )

    @staticmethod
    def move_unpaid(session: Json, move_id: str, *, purchasable: bool = False) -> MoveCreditRefused:
        return MoveCreditRefused(
            session_id=session["id"],
            member_id=session["member_id"],
            move_id=move_id,
            reasons=_reasons(["no-session-credits"]),
            purchasable=purchasable,
        )

    @staticmethod
    def slot_moved(session: Json, move_id: str, starts_at: datetime, ends_at: datetime) -> SlotMoved:
        return SlotMoved(
            **{**_slot(session), "starts_at": starts_at, "ends_at": ends_at},
            move_id=move_id,
            old_starts_at=datetime.fromisoformat(session["starts_at"]),
            old_ends_at=datetime.fromisoformat(session["ends_at"]),
            blocked_from=starts_at,
            blocked_until=ends_at,
        )

    @staticmethod
    def slot_stays(session: Json, move_id: str, *codes: str) -> SlotMoveRefused:
        return SlotMoveRefused(**_slot(session), move_id=move_id, reasons=_reasons(codes or ("slot-taken",)))

    @staticmethod
    def credit_corrected(session: Json, state: Any) -> CreditCorrected:
        return CreditCorrected(**_movement(session), state=state, source="plan", expires_at=None)

    @staticmethod
    def credit_spent(session: Json) -> CreditSpent:
        return CreditSpent(**_movement(session))


def _slot(session: Json) -> Json:
    return {
        "session_id": session["id"],
        "provider_id": session["provider_id"],
        "member_id": session["member_id"],
        "starts_at": datetime.fromisoformat(session["starts_at"]),
        "ends_at": datetime.fromisoformat(session["ends_at"]),
    }


def _movement(session: Json) -> Json:
    return {
        "entry_id": new_id(),
        "member_id": session["member_id"],
        "lot_id": new_id(),
        "amount": 1,
        "available_after": 4,
        "held_after": 0,
        "session_id": session["id"],
        "hold_id": new_id(),
    }


def _reasons(codes: Sequence[str]) -> list[Reason]:
    return [Reason(code=cast("Any", code), detail=f"Because of {code}.") for code in codes]


def first_schedule(provider: str) -> SchedulePublished:
    """Round the clock, of version 0."""
    return SchedulePublished(
        provider_id=provider,
        schedule_version=0,
        time_zone="UTC",
        specialty="therapy",
        session_types=[SessionType(length_minutes=30, modalities=["video"])],
        minimum_notice_minutes=0,
        horizon_days=365,
        weekly=tuple(WeeklyHours(weekday=day, start=0, until=1440) for day in range(7)),
    )


def received(event: Event) -> Received[Any]:
    return Received(event, new_id(), event.key, 1, datetime.now(UTC), "story", "test")


@dataclass
class World:
    """One service, its database, its clock, and people with tokens."""

    service: Service
    key: rsa.RSAPrivateKey
    transport: httpx.ASGITransport
    people: dict[tuple[str, str], httpx.AsyncClient] = field(default_factory=dict)

    @property
    def clock(self) -> FixedClock:
        return cast("FixedClock", self.service.clock)

    @property
    def dependencies(self) -> Dependencies:
        return cast("Dependencies", self.service.dependencies)

    def person(self, role: str, subject: str) -> httpx.AsyncClient:
        if (role, subject) not in self.people:
            now = int(time.time())
            claims = {"iss": ISSUER, "aud": "makegood", "sub": subject, "roles": [role], "jti": "t", "iat": now}
            token = jwt.encode({**claims, "exp": now + 600}, self.key, "RS256", headers={"kid": "test"})
            headers = {"Authorization": f"Bearer {token}", **access_reason(role)}
            self.people[role, subject] = httpx.AsyncClient(
                transport=self.transport, base_url="http://test", headers=headers
            )
        return self.people[role, subject]

    @property
    def member(self) -> httpx.AsyncClient:
        return self.person("member", "anna")

    @property
    def provider(self) -> httpx.AsyncClient:
        return self.person("provider", "dr-lee")

    @property
    def support(self) -> httpx.AsyncClient:
        return self.person("support", "sam")

    async def works(self, provider: str) -> None:
        """The provider has a schedule. What a test publishes itself, from version 1 on, takes its place."""
        await self.handle(first_schedule(provider))

    async def room(self, member: str = "anna", provider: str = "dr-lee") -> str:
        await self.works(provider)
        answer = await self.support.post("/v1/rooms", json={"member_id": member, "provider_id": provider})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def booking_body(self, room_id: str, starts_at: datetime = START, **other: Any) -> Json:
        values = {
            "room_id": room_id,
            "starts_at": starts_at.isoformat(),
            "length_minutes": 30,
            "modality": "video",
            "time_zone": "Europe/Berlin",
            **other,
        }
        return {name: value for name, value in values.items() if value is not None}

    async def ask(self, starts_at: datetime = START, **other: Any) -> Json:
        """A session that was asked for; nobody has answered."""
        answer = await self.member.post(
            "/v1/sessions",
            json=self.booking_body(await self.room(), starts_at, **other),
            headers={"Idempotency-Key": new_id()},
        )
        assert answer.status_code == 202, answer.text
        found: Json = answer.json()
        return found

    async def reserved(self, starts_at: datetime = START, **other: Any) -> Json:
        session = await self.ask(starts_at, **other)
        await self.handle(Answers.slot_held(session))
        await self.handle(Answers.credit_held(session))
        return await self.read(session)

    async def confirmed(self, starts_at: datetime = START, **other: Any) -> Json:
        session = await self.reserved(starts_at, **other)
        answer = await self.provider.post(f"/v1/sessions/{session['id']}/confirm")
        assert answer.status_code == 200, answer.text
        await self.outbox()
        return plain(answer.json())

    async def read(self, session: Json) -> Json:
        """As support sees it, save what its reader may do (BOOK-10)."""
        answer = await self.support.get(f"/v1/sessions/{session['id']}")
        assert answer.status_code == 200, answer.text
        return plain(answer.json())

    async def handle(self, *events: Event) -> None:
        """Hands the events, all of one type, to their handler as one batch; what lapsed, once it can have."""
        handler = self.service.events[type(events[0])]
        before = self.clock.moment
        if any(getattr(event, "cause", None) == "lapsed" for event in events):
            self.clock.moment = max(before, NOW + timedelta(minutes=15))
        async with self.service.database.transaction(CAUSE) as unit:
            await handler([received(event) for event in events], unit)
        self.clock.moment = before

    async def pass_time(self, moment: datetime) -> list[Event]:
        """Moves the clock and runs what is due by then, until nothing is; answers what that published."""
        self.clock.moment = moment
        await self.outbox()
        while True:
            # As the worker: whoever changes a session locks it first and its deadline last, so this one gives way.
            try:
                if not await self._take_due(moment):
                    break
            except asyncpg.LockNotAvailableError:
                continue
        return await self.outbox()

    async def _take_due(self, moment: datetime) -> bool:
        """Runs what is due by then; whether anything was."""
        async with self.service.database.transaction(CAUSE) as unit:
            await unit.execute("SET LOCAL lock_timeout = '250ms'")
            rows = await unit.fetch(
                "DELETE FROM deadlines WHERE due_at <= $1 RETURNING kind, entity_id, due_at", moment
            )
            for kind in sorted({row["kind"] for row in rows}):
                due = [Due(row["entity_id"], row["due_at"]) for row in rows if row["kind"] == kind]
                await self.service.deadlines[kind](due, unit)
            return bool(rows)

    async def outbox(self) -> list[Event]:
        """What was published since the last look, in order."""
        async with self.service.database.pool.acquire() as connection:
            rows = await connection.fetch(
                "WITH sent AS (DELETE FROM outbox RETURNING *) SELECT key, headers, payload FROM sent ORDER BY id"
            )
        return [
            decode(row[0].encode(), [(name, text.encode()) for name, text in json.loads(row[1])], row[2]).event
            for row in rows
        ]

    async def published(self, name: str) -> Any:
        """The first event of this name, once it is there; it is left in the outbox."""
        async with asyncio.timeout(10):
            while True:
                async with self.service.database.pool.acquire() as connection:
                    row = await connection.fetchrow(
                        "SELECT key, headers, payload FROM outbox WHERE headers LIKE $1", f"%.{name}.v1%"
                    )
                if row is not None:
                    headers = [(each, text.encode()) for each, text in json.loads(row[1])]
                    return decode(row[0].encode(), headers, row[2]).event
                await asyncio.sleep(0)

    async def until_in_outbox(self, name: str) -> Json:
        """The session of the first event of this name, once it is there; it is left in the outbox."""
        async with asyncio.timeout(10):
            while True:
                async with self.service.database.pool.acquire() as connection:
                    key = await connection.fetchval("SELECT key FROM outbox WHERE headers LIKE $1", f"%.{name}.v1%")
                if key is not None:
                    return await self.read({"id": key})
                await asyncio.sleep(0)

    async def close(self) -> None:
        for client in self.people.values():
            await client.aclose()
        await self.service.database.close()


def plain(session: Json) -> Json:
    """A session without what depends on its reader (BOOK-10)."""
    return {name: value for name, value in session.items() if name != "actions"}


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return str(answer.json()["type"]).removeprefix("/problems/")
