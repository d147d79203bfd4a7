"""A copy of availability's schedules, time off and waitlist offers. The highest version counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from makegood_calendar.hours import Span
from makegood_chassis.database import Queries, UnitOfWork
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

_PUBLISH = """
INSERT INTO provider_schedules AS known (provider_id, version, specialty, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (provider_id) DO UPDATE SET version = excluded.version, specialty = excluded.specialty, body = excluded.body
WHERE known.version < excluded.version
"""
_WITHDRAW_KNOWN = """
UPDATE provider_schedules SET body = body || '{"session_types": [], "weekly": [], "exceptions": []}'::jsonb
WHERE provider_id = ANY($1)
"""
_TIME_OFF = """
INSERT INTO time_off AS known (id, provider_id, starts_at, ends_at, removed) VALUES ($1, $2, $3, $4, false)
ON CONFLICT (id) DO UPDATE SET starts_at = excluded.starts_at, ends_at = excluded.ends_at
"""
_NO_TIME_OFF = """
INSERT INTO time_off (id, provider_id, removed) VALUES ($1, $2, true)
ON CONFLICT (id) DO UPDATE SET removed = true
"""
_OFFER = """
INSERT INTO waitlist_offers AS known (entry_id, provider_id, member_id, sequence, starts_at, ends_at, blocked_from,
    blocked_until, lapses_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (entry_id) DO UPDATE SET sequence = excluded.sequence, starts_at = excluded.starts_at,
    ends_at = excluded.ends_at, blocked_from = excluded.blocked_from, blocked_until = excluded.blocked_until,
    lapses_at = excluded.lapses_at
WHERE known.sequence < excluded.sequence
"""
# A session takes its time from the request on, whether availability has answered or not, and until it ends. What starts a
# day before the window cannot reach into it: no session is longer than that, buffers included.
_TAKEN = """
SELECT 0, coalesce(blocked_from, starts_at), coalesce(blocked_until, ends_at) FROM sessions
WHERE provider_id = $1 AND starts_at > $3::timestamptz - interval '1 day' AND starts_at < $4::timestamptz + interval '1 day'
    AND status = ANY($6::text[]) AND slot_state IN ('asked', 'held')
UNION ALL
SELECT 0, blocked_from, blocked_until FROM waitlist_offers
WHERE provider_id = $1 AND member_id <> $2 AND lapses_at > $5
UNION ALL
SELECT 1, starts_at, ends_at FROM time_off WHERE provider_id = $1 AND NOT removed AND ends_at > $3 AND starts_at < $4
UNION ALL
SELECT 2, starts_at, ends_at FROM sessions
WHERE member_id = $2 AND starts_at > $3::timestamptz - interval '1 day' AND starts_at < $4
    AND status = ANY($6::text[]) AND slot_state IN ('asked', 'held')
"""
_LIVE = ("requested", "reserved", "confirmed", "in_session")


async def publish(unit: UnitOfWork, event: SchedulePublished) -> None:
    """Keeps the schedule, unless a later version was heard of before."""
    await unit.execute(_PUBLISH, event.provider_id, event.schedule_version, event.specialty, msgspec.to_builtins(event))


async def withdraw(unit: UnitOfWork, event: ScheduleWithdrawn) -> None:
    """The provider offers nothing any more: as with a schedule that has no hours and no kinds of sessions."""
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
    """What these providers last published counts no more; a later version does, once it is heard of."""
    await unit.execute(_WITHDRAW_KNOWN, people)


async def read_schedule(queries: Queries, provider_id: str) -> SchedulePublished | None:
    """The provider's schedule as it was last published."""
    body = await queries.fetch_value("SELECT body FROM provider_schedules WHERE provider_id = $1", provider_id)
    return None if body is None else msgspec.convert(body, SchedulePublished)


async def specialty_of(queries: Queries, provider_id: str) -> Specialty:
    """As what the provider works (PLAN-1); therapy where no schedule says otherwise."""
    found: Specialty | None = await queries.fetch_value(
        "SELECT specialty FROM provider_schedules WHERE provider_id = $1", provider_id
    )
    return found or "therapy"


async def add_time_off(
    unit: UnitOfWork, time_off_id: str, provider_id: str, starts_at: datetime, ends_at: datetime
) -> None:
    """Keeps time off; what was taken back before it was heard of stays so."""
    await unit.execute(_TIME_OFF, time_off_id, provider_id, starts_at, ends_at)


async def remove_time_off(unit: UnitOfWork, time_off_id: str, provider_id: str) -> None:
    await unit.execute(_NO_TIME_OFF, time_off_id, provider_id)


async def keep_offer(unit: UnitOfWork, received: Received[WaitlistFact]) -> None:
    """Keeps what is held for a waiting member after the event: an offer, or nothing any more."""
    event = received.event
    offer: tuple[datetime | None, ...] = (None,) * 5
    if isinstance(event, WaitlistCandidateProposed):
        offer = (event.starts_at, event.ends_at, event.blocked_from, event.blocked_until, event.decide_by)
    if isinstance(event, WaitlistOffered):
        offer = (event.starts_at, event.ends_at, event.blocked_from, event.blocked_until, event.lapses_at)
    await unit.execute(_OFFER, event.entry_id, event.provider_id, event.member_id, received.sequence, *offer)


async def read_taken(
    queries: Queries, provider_id: str, member_id: str, start: datetime, end: datetime, now: datetime
) -> TakenTime:
    """What touches [start, end): sessions as booking itself knows them, offers to others that stand, time off."""
    lists: tuple[list[Span], list[Span], list[Span]] = ([], [], [])
    for whose, opens, closes in await queries.fetch(_TAKEN, provider_id, member_id, start, end, now, _LIVE):
        lists[whose].append((opens, closes))
    return TakenTime(*lists)
