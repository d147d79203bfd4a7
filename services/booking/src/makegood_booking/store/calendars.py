"""A copy of availability's schedules, time off and waitlist offers. The highest version counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from makegood_calendar.hours import Span
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    SchedulePublished,
    ScheduleWithdrawn,
    Specialty,
    WaitlistCandidateProposed,
    WaitlistOffered,
)
from makegood_contracts.events.schedules import WaitlistFact

from makegood_booking.domain.bookability import TakenTime
from makegood_booking.store.tables import provider_schedules, time_off, upsert, waitlist_offers

_PUBLISH: Final = upsert(provider_schedules, "version")
_WITHDRAW_KNOWN: Final = Statement("""
UPDATE provider_schedules SET body = body || '{"session_types": [], "weekly": [], "exceptions": []}'::jsonb
WHERE provider_id = ANY(:people)
""")
_BODY: Final = Statement("SELECT body FROM provider_schedules WHERE provider_id = :provider_id")
_SPECIALTY: Final = Statement("SELECT specialty FROM provider_schedules WHERE provider_id = :provider_id")
_TIME_OFF: Final = upsert(time_off, never_changed=("provider_id", "removed"))
_NO_TIME_OFF: Final = upsert(time_off, never_changed=("provider_id", "starts_at", "ends_at"))
_OFFER: Final = upsert(waitlist_offers, "sequence", never_changed=("provider_id", "member_id"))
TAKEN: Final = """
SELECT 0 AS whose, coalesce(blocked_from, starts_at) AS opens, coalesce(blocked_until, ends_at) AS closes FROM sessions
WHERE provider_id = {provider} AND starts_at > CAST(:start AS timestamptz) - interval '1 day'
    AND starts_at < CAST(:end AS timestamptz) + interval '1 day'
    AND status IN ('requested', 'reserved', 'confirmed', 'in_session') AND slot_state IN ('asked', 'held')
UNION ALL
SELECT 0, blocked_from, blocked_until FROM waitlist_offers
WHERE provider_id = {provider} AND member_id <> {member} AND lapses_at > :now
UNION ALL
SELECT 1, starts_at, ends_at FROM time_off
WHERE provider_id = {provider} AND NOT removed AND ends_at > :start AND starts_at < :end
UNION ALL
SELECT 2, starts_at, ends_at FROM sessions
WHERE member_id = {member} AND starts_at > CAST(:start AS timestamptz) - interval '1 day' AND starts_at < :end
    AND status IN ('requested', 'reserved', 'confirmed', 'in_session') AND slot_state IN ('asked', 'held')
"""
"""What touches [:start, :end), for `taken_time`.

A session takes its time from its request until it ends, whether or not availability has answered. A session that starts a
day before the window cannot reach into it, because none is that long, including buffers.
"""
_TAKEN: Final = Statement(TAKEN.format(provider=":provider_id", member=":member_id"))


async def publish(unit: UnitOfWork, event: SchedulePublished) -> None:
    """Saves the schedule, unless a later version arrived before."""
    await unit.execute(
        _PUBLISH(
            provider_id=event.provider_id,
            version=event.schedule_version,
            specialty=event.specialty,
            body=msgspec.to_builtins(event),
        )
    )


async def withdraw(unit: UnitOfWork, event: ScheduleWithdrawn) -> None:
    """The provider offers nothing any more, as with a schedule without hours and kinds of sessions."""
    nothing = SchedulePublished(
        provider_id=event.provider_id,
        schedule_version=event.schedule_version,
        time_zone="UTC",
        specialty="therapy",
        session_types=[],
        minimum_notice_minutes=0,
        horizon_days=1,
    )
    await publish(unit, nothing)


async def withdraw_known(unit: UnitOfWork, people: Sequence[str]) -> None:
    """Withdraws what these providers last published. A later version counts once it arrives."""
    await unit.execute(_WITHDRAW_KNOWN(people=people))


async def read_schedule(queries: Queries, provider_id: str) -> SchedulePublished | None:
    """The provider's schedule as it was last published."""
    body = await queries.fetch_value(_BODY(provider_id=provider_id))
    return None if body is None else msgspec.convert(body, SchedulePublished)


async def specialty_of(queries: Queries, provider_id: str) -> Specialty:
    """The provider's specialty (PLAN-1); therapy if no schedule says otherwise."""
    found: Specialty | None = await queries.fetch_value(_SPECIALTY(provider_id=provider_id))
    return found or "therapy"


async def add_time_off(
    unit: UnitOfWork, time_off_id: str, provider_id: str, starts_at: datetime, ends_at: datetime
) -> None:
    """Saves time off. If its removal arrived first, it stays removed."""
    await unit.execute(
        _TIME_OFF(id=time_off_id, provider_id=provider_id, starts_at=starts_at, ends_at=ends_at, removed=False)
    )


async def remove_time_off(unit: UnitOfWork, time_off_id: str, provider_id: str) -> None:
    await unit.execute(
        _NO_TIME_OFF(id=time_off_id, provider_id=provider_id, starts_at=None, ends_at=None, removed=True)
    )


async def keep_offer(unit: UnitOfWork, received: Received[WaitlistFact]) -> None:
    """Saves what is held for a waiting member after the event: an offer, or nothing any more."""
    event = received.event
    lapses_at = None
    if isinstance(event, WaitlistCandidateProposed):
        lapses_at = event.decide_by
    if isinstance(event, WaitlistOffered):
        lapses_at = event.lapses_at
    times = ("starts_at", "ends_at", "blocked_from", "blocked_until")
    await unit.execute(
        _OFFER(
            entry_id=event.entry_id,
            provider_id=event.provider_id,
            member_id=event.member_id,
            sequence=received.sequence,
            lapses_at=lapses_at,
            **{name: getattr(event, name) if lapses_at else None for name in times},
        )
    )


async def read_taken(
    queries: Queries, provider_id: str, member_id: str, start: datetime, end: datetime, now: datetime
) -> TakenTime:
    """What touches [start, end): sessions as booking knows them, open offers to others, and time off."""
    return taken_time(
        await queries.fetch(_TAKEN(provider_id=provider_id, member_id=member_id, start=start, end=end, now=now))
    )


def taken_time(rows: Iterable[Iterable[Any]]) -> TakenTime:
    """The rows of `TAKEN`."""
    lists: tuple[list[Span], list[Span], list[Span]] = ([], [], [])
    for whose, opens, closes in rows:
        lists[whose].append((opens, closes))
    return TakenTime(*lists)
