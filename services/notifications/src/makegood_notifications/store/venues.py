"""What availability told of venues: their names and places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from makegood_chassis.database import Queries, column
from makegood_contracts.events import VenuePublished

from makegood_notifications.domain.venues import NO_VENUES, Venue, Venues

_FOLLOW: Final = """
INSERT INTO venues (id, name, place, version)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS new (id)
ORDER BY new.id
ON CONFLICT (id) DO UPDATE SET name = excluded.name, place = excluded.place, version = excluded.version
WHERE venues.version < excluded.version
"""
_FIND: Final = "SELECT id, name, place FROM venues WHERE id = ANY($1::text[])"


async def follow(queries: Queries, venues: Sequence[VenuePublished]) -> None:
    """Saves the venues, each at most once."""
    await queries.execute(
        _FOLLOW,
        column(venues, "venue_id"),
        column(venues, "name"),
        column(venues, "place"),
        column(venues, "venue_version"),
    )


async def find(queries: Queries, ids: Collection[str | None]) -> Venues:
    """Those of the venues that are known; asks nothing for none."""
    wanted = sorted({venue_id for venue_id in ids if venue_id is not None})
    if not wanted:
        return NO_VENUES
    return {row[0]: Venue(row[1], row[2]) for row in await queries.fetch(_FIND, wanted)}
