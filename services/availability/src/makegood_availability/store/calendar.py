"""What is taken of a provider's, a venue's and a member's time, for searches: always within a window, by index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from makegood_calendar.hours import Span
from makegood_chassis.database import Queries

# A venue or member that is NULL equals nothing, and costs nothing. $7 is always NULL, no limit: it is there for the planner,
# which guesses so much for a range that it does not know that, with many sessions a provider, it would plan each search anew.
_TAKEN = """
(SELECT 0, lower(blocked), upper(blocked) FROM slot_holds
WHERE live AND provider_key = hashtextextended($1, 0) AND blocked && tstzrange($2, $3)
    AND session_id IS DISTINCT FROM $4::uuid AND (offered_to = $6) IS NOT TRUE
LIMIT $7::bigint)
UNION ALL
SELECT 1, starts_at, ends_at FROM time_off WHERE provider_id = $1 AND ends_at > $2 AND starts_at < $3
UNION ALL
SELECT 2, starts_at, ends_at FROM slot_holds
WHERE live AND venue_id = $5 AND tstzrange(starts_at, ends_at) && tstzrange($2, $3)
    AND session_id IS DISTINCT FROM $4::uuid AND (offered_to = $6 AND provider_id = $1) IS NOT TRUE
UNION ALL
SELECT 3, starts_at, ends_at FROM slot_holds
WHERE live AND member_key = hashtextextended($6, 0) AND tstzrange(starts_at, ends_at) && tstzrange($2, $3)
    AND session_id IS DISTINCT FROM $4::uuid
"""
_IN_VENUES = """
SELECT venue_id, starts_at, ends_at FROM slot_holds
WHERE live AND venue_id = ANY($1::text[]) AND tstzrange(starts_at, ends_at) && tstzrange($2, $3)
"""


@dataclass(slots=True)
class Taken:
    """Spans that are taken: the provider's with buffers, the others' without."""

    provider: list[Span] = field(default_factory=list)
    time_off: list[Span] = field(default_factory=list)
    venue: list[Span] = field(default_factory=list)
    member: list[Span] = field(default_factory=list)


async def member_of(queries: Queries, session_id: str, provider_id: str) -> str | None:
    """Whose session it is; None for one that is over, or another provider's."""
    found: str | None = await queries.fetch_value(
        "SELECT member_id FROM slot_holds WHERE session_id = $1 AND provider_id = $2 AND live", session_id, provider_id
    )
    return found


async def taken(
    queries: Queries,
    provider_id: str,
    start: datetime,
    end: datetime,
    *,
    venue_id: str | None = None,
    member_id: str | None = None,
    except_session: str | None = None,
) -> Taken:
    """What touches [start, end), in one statement; `except_session` leaves out one session's own hold.

    What the waitlist offers is taken for all but its member (AVAIL-6).
    """
    found = Taken()
    lists = (found.provider, found.time_off, found.venue, found.member)
    rows = await queries.fetch(_TAKEN, provider_id, start, end, except_session, venue_id, member_id, None)
    for whose, opens, closes in rows:
        lists[whose].append((opens, closes))
    return found


async def taken_in_venues(
    queries: Queries, venue_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[Span]]:
    """What is taken of these venues' time within [start, end); one that is free throughout is left out."""
    found: dict[str, list[Span]] = {}
    for venue_id, opens, closes in await queries.fetch(_IN_VENUES, list(venue_ids), start, end):
        found.setdefault(venue_id, []).append((opens, closes))
    return found
