"""When a provider, a venue or a member is taken, for searches: always within a window, by index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from makegood_calendar.hours import Span
from makegood_chassis.database import Queries
from makegood_chassis.statements import BoundStatement, Statement

# A NULL venue or member matches nothing, and costs nothing. :no_limit is always NULL. It is for the planner:
# for an unknown range it estimates so many rows that, with many sessions per provider, it would plan each search anew.
_TAKEN = Statement("""
(SELECT 0, lower(blocked), upper(blocked), NULL::bigint FROM slot_holds
WHERE live AND provider_key = hashtextextended(:provider_id, 0) AND blocked && tstzrange(:start, :end)
    AND session_id IS DISTINCT FROM CAST(:except_session AS uuid) AND (offered_to = :member_id) IS NOT TRUE
LIMIT CAST(:no_limit AS bigint))
UNION ALL
SELECT 1, starts_at, ends_at, NULL FROM time_off WHERE provider_id = :provider_id AND ends_at > :start AND starts_at < :end
UNION ALL
SELECT 2, starts_at, ends_at, NULL FROM slot_holds
WHERE live AND venue_id = :venue_id AND tstzrange(starts_at, ends_at) && tstzrange(:start, :end)
    AND session_id IS DISTINCT FROM CAST(:except_session AS uuid)
    AND (offered_to = :member_id AND provider_id = :provider_id) IS NOT TRUE
UNION ALL
SELECT 3, starts_at, ends_at, NULL FROM slot_holds
WHERE live AND member_key = hashtextextended(:member_id, 0) AND tstzrange(starts_at, ends_at) && tstzrange(:start, :end)
    AND session_id IS DISTINCT FROM CAST(:except_session AS uuid)
UNION ALL
SELECT NULL, NULL, NULL, version FROM schedules WHERE provider_id = :provider_id AND body IS NOT NULL
""")
_IN_VENUES = Statement("""
SELECT venue_id, starts_at, ends_at FROM slot_holds
WHERE live AND venue_id = ANY(CAST(:venue_ids AS text[])) AND tstzrange(starts_at, ends_at) && tstzrange(:start, :end)
""")
_OF_MEMBERS = Statement("""
SELECT m.member_id, h.starts_at, h.ends_at FROM unnest(CAST(:member_ids AS text[])) AS m (member_id)
JOIN slot_holds h ON h.live AND h.member_key = hashtextextended(m.member_id, 0)
    AND tstzrange(h.starts_at, h.ends_at) && tstzrange(:start, :end)
""")
_MEMBER_OF = Statement(
    "SELECT member_id FROM slot_holds WHERE session_id = :session_id AND provider_id = :provider_id AND live"
)


@dataclass(slots=True)
class BusyTimes:
    """Times that are taken: the provider's with buffers, the others' without."""

    provider: list[Span] = field(default_factory=list)
    time_off: list[Span] = field(default_factory=list)
    venue: list[Span] = field(default_factory=list)
    member: list[Span] = field(default_factory=list)
    schedule_version: int | None = None
    """The version of the provider's schedule at that moment. None if there is none."""


async def member_of(queries: Queries, session_id: str, provider_id: str) -> str | None:
    """The session's member. None if it is over, or is another provider's."""
    found: str | None = await queries.fetch_value(_MEMBER_OF(session_id=session_id, provider_id=provider_id))
    return found


async def busy_times(
    queries: Queries,
    provider_id: str,
    start: datetime,
    end: datetime,
    *,
    venue_id: str | None = None,
    member_id: str | None = None,
    except_session: str | None = None,
) -> BusyTimes:
    """Times that touch [start, end), with one statement. `except_session` leaves out one session's hold.

    An offer of the waitlist counts as taken for everybody except its member (AVAIL-6).
    """
    found = BusyTimes()
    lists = (found.provider, found.time_off, found.venue, found.member)
    rows = await queries.fetch(
        _TAKEN(
            provider_id=provider_id,
            start=start,
            end=end,
            except_session=except_session,
            venue_id=venue_id,
            member_id=member_id,
            no_limit=None,
        )
    )
    for owner, starts_at, ends_at, version in rows:
        if owner is None:
            found.schedule_version = version
        else:
            lists[owner].append((starts_at, ends_at))
    return found


async def busy_venues(
    queries: Queries, venue_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[Span]]:
    """When these venues are taken within [start, end). Venues that are free throughout are left out."""
    return await _by_id(queries, _IN_VENUES(venue_ids=list(venue_ids), start=start, end=end))


async def busy_members(
    queries: Queries, member_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[Span]]:
    """When these members have sessions within [start, end). Members without any are left out."""
    return await _by_id(queries, _OF_MEMBERS(member_ids=list(member_ids), start=start, end=end))


async def _by_id(queries: Queries, statement: BoundStatement) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for owner, starts_at, ends_at in await queries.fetch(statement):
        found.setdefault(owner, []).append((starts_at, ends_at))
    return found
