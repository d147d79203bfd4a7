"""Drives the handlers as the consumer and the deadline worker do, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from makegood_chassis.messaging.refusals import RefusalReason
from makegood_chassis.service import Service
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    Event,
    InvoiceWish,
    MemberNoShow,
    OutcomeCorrected,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionOutcome,
    SessionRejected,
    SessionRequested,
    SessionReserved,
)
from makegood_contracts.events.possible import possible_after
from makegood_contracts.ids import new_id
from makegood_credits.dependencies import Dependencies
from makegood_credits.domain.adjusting import adjust
from makegood_credits.domain.enrolling import EnrolmentRequest
from makegood_credits.handlers.commands import enrol_member
from makegood_credits.store import reads
from makegood_credits.store.books import open_whole, save
from makegood_testkit.identity import Identity
from makegood_testkit.service import CAUSE, ServiceHarness

from .credit_building import NOW

E = TypeVar("E", bound=Event)


class CreditsHarness(ServiceHarness[Dependencies]):
    """Credits, as `ServiceHarness` drives it, with what its tests do and look at."""

    def __init__(self, service: Service[Dependencies], identity: Identity) -> None:
        super().__init__(service, identity)
        self.moved_to: dict[str, dict[str, datetime]] = {}

    async def enrol(
        self, member: str = "member-1", plan_id: str = "eap-6", starts_on: date = date(2026, 11, 1), **other: Any
    ) -> None:
        coverage = EnrolmentRequest(plan_id, starts_on, other.get("ends_on"), other.get("time_zone", "UTC"))
        async with self.database.transaction(CAUSE) as unit:
            await enrol_member(unit, member, coverage)

    async def give(self, length: int) -> None:
        """One credit that does not lapse, from support."""
        async with self.database.transaction(CAUSE) as unit:
            (book,) = (await open_whole(unit, ["member-1"])).values()
            adjust(book, 1, length_minutes=length, reason="Goodwill", made_by="support-1", now=unit.now)
            save(unit, [book])

    async def handle(self, *events: Event | Received[Any]) -> dict[str, RefusalReason]:
        """As of every service. Remembers where the sessions were moved to, for when their later events can be."""
        refused = await super().handle(*events)
        for event in events:
            if isinstance(event, SessionMoved):
                self.moved_to[event.key] = {"starts_at": event.starts_at, "ends_at": event.ends_at}
        return refused

    async def moment_of(self, events: Sequence[Event]) -> datetime:
        return await super().moment_of(
            [
                msgspec.structs.replace(event, **self.moved_to.get(event.key, {})) if possible_after(event) else event
                for event in events
            ]
        )

    async def move_to(self, moment: datetime) -> list[str]:
        """Moves the clock and handles what is due. Returns the kinds, in order."""
        self.clock.moment = moment
        return await self.handle_due()

    async def balance(self, member: str = "member-1") -> tuple[int, int]:
        """(available, held), as the ledger has them."""
        async with self.database.reading() as queries:
            row = await queries.fetch_one("SELECT available, held FROM accounts WHERE member_id = $1", member)
        return (0, 0) if row is None else (row[0], row[1])

    async def ledger(self, member: str = "member-1") -> list[tuple[str, int]]:
        """(kind, amount), oldest first."""
        async with self.database.reading() as queries:
            rows = await reads.entries_of(queries, member, None, 10_000)
        return [(row["kind"], row["amount"]) for row in reversed(rows)]

    async def state(self, session_id: str) -> str | None:
        async with self.database.reading() as queries:
            found: str | None = await queries.fetch_value("SELECT state FROM holds WHERE session_id = $1", session_id)
            return found

    async def invoice(self, session_id: str) -> str | None:
        return next(iter(await self.invoices(session_id)), None)

    async def invoices(self, session_id: str) -> list[str]:
        """Statuses of the session's charges, in the order they were made."""
        async with self.database.reading() as queries:
            rows = await queries.fetch("SELECT status FROM invoices WHERE session_id = $1 ORDER BY number", session_id)
        return [row[0] for row in rows]

    async def hold_of(self, session_id: str) -> tuple[str, str, bool]:
        """(state, id, firm) of the hold that is the session's now."""
        async with self.database.reading() as queries:
            row = await queries.fetch_one("SELECT state, id::text, firm FROM holds WHERE session_id = $1", session_id)
        assert row is not None
        return row[0], row[1], row[2]

    async def imbalances(self) -> list[tuple[str, str]]:
        async with self.database.reading() as queries:
            return await reads.imbalances(queries)

    async def together(self, *batches: Sequence[Event]) -> None:
        """Handles several batches at the same time, as processes beside each other do."""
        await asyncio.gather(*(self.handle(*batch) for batch in batches))


def requested(
    member: str = "member-1", *, starts_at: datetime = NOW + timedelta(days=3), length: int = 45, **other: Any
) -> SessionRequested:
    """A member asks for a session by video."""
    values: dict[str, Any] = {
        "session_id": new_id(),
        "room_id": "room-1",
        "member_id": member,
        "provider_id": "provider-1",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=length),
        "length_minutes": length,
        "modality": "video",
        "time_zone": "UTC",
        "session_version": 1,
        "booked_by": "member",
        "hold_until": NOW + timedelta(minutes=15),
        "policy_version": 1,
        **other,
    }
    return SessionRequested(**values)


def _after(kind: type[E], request: SessionRequested, **other: Any) -> E:
    shared = {
        name: getattr(request, name)
        for name in (
            "session_id",
            "room_id",
            "member_id",
            "provider_id",
            "starts_at",
            "ends_at",
            "length_minutes",
            "modality",
            "time_zone",
        )
    }
    return kind(**shared, session_version=2, **other)


def reserved(request: SessionRequested) -> SessionReserved:
    return _after(SessionReserved, request, confirm_by=request.starts_at)


def rejected(request: SessionRequested) -> SessionRejected:
    return _after(SessionRejected, request, reasons=[])


def declined(request: SessionRequested) -> SessionDeclined:
    return _after(SessionDeclined, request)


def expired(request: SessionRequested) -> SessionExpired:
    return _after(SessionExpired, request)


def completed(request: SessionRequested) -> SessionCompleted:
    return _after(SessionCompleted, request)


def no_show(request: SessionRequested, *, forfeits: bool = True) -> MemberNoShow:
    return _after(MemberNoShow, request, marked_by="provider", forfeits=forfeits)


def missed(request: SessionRequested) -> ProviderMissed:
    missed_at = request.starts_at + timedelta(minutes=10)
    return _after(ProviderMissed, request, absent_party="provider", missed_at=missed_at, grace_minutes=10)


def cancelled(
    request: SessionRequested, *, forfeits: bool = False, by: str = "member", at: datetime = NOW, **other: Any
) -> SessionCancelled:
    return _after(
        SessionCancelled, request, cancelled_by=by, cancelled_at=at, forfeits=forfeits, was_confirmed=True, **other
    )


def move(request: SessionRequested, **other: Any) -> SessionMoveRequested:
    """The member wants the session a day later."""
    starts_at = other.pop("new_starts_at", request.starts_at + timedelta(days=1))
    length = other.pop("new_length_minutes", request.length_minutes)
    values: dict[str, Any] = {
        "move_id": new_id(),
        "moved_by": "member",
        "new_starts_at": starts_at,
        "new_ends_at": starts_at + timedelta(minutes=length),
        "new_length_minutes": length,
        "new_time_zone": "UTC",
        "forfeits": False,
        "decide_by": NOW + timedelta(minutes=5),
        **other,
    }
    return _after(SessionMoveRequested, request, **values)


def _of_move(kind: type[E], asked: SessionMoveRequested, **other: Any) -> E:
    shared = {name: getattr(asked, name) for name in SessionMoveRequested.__struct_fields__}
    return kind(**{**shared, **other})


def funded(asked: SessionMoveRequested) -> SessionMoveFunded:
    return _of_move(SessionMoveFunded, asked)


def move_refused(asked: SessionMoveRequested) -> SessionMoveRefused:
    return _of_move(SessionMoveRefused, asked, reasons=[])


def moved(asked: SessionMoveRequested) -> SessionMoved:
    shared = {name: getattr(asked, name) for name in SessionMoved.__struct_fields__ if hasattr(asked, name)}
    new = {
        "starts_at": asked.new_starts_at,
        "ends_at": asked.new_ends_at,
        "length_minutes": asked.new_length_minutes,
        "time_zone": asked.new_time_zone,
        "moved_at": NOW,
        "old_starts_at": asked.starts_at,
        "old_ends_at": asked.ends_at,
        "confirmed": False,
        "confirm_by": asked.new_starts_at,
    }
    return SessionMoved(**{**shared, **new})


def extended(request: SessionRequested, invoice: InvoiceWish | None) -> SessionExtended:
    return _after(SessionExtended, request, move_id=new_id(), old_ends_at=request.ends_at, invoice=invoice)


def corrected(
    request: SessionRequested, old: SessionOutcome, new: SessionOutcome, *, no_show_forfeits: bool = True
) -> OutcomeCorrected:
    other = {"corrected_by": "support-1", "corrected_at": NOW, "no_show_forfeits": no_show_forfeits}
    return _after(OutcomeCorrected, request, old_outcome=old, outcome=new, **other)


async def booked(harness: CreditsHarness, plan_id: str = "eap-6", **other: Any) -> SessionRequested:
    """A member with a session that is reserved."""
    await harness.enrol(plan_id=plan_id)
    length = {"out-of-pocket-4": 30}.get(plan_id, 45)
    asked = requested(**{"length": length, **other})
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    return asked
