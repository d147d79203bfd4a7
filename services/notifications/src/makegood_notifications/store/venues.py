"""What availability published about venues: their names and places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from makegood_chassis.database import Queries, column
from makegood_chassis.statements import Statement, any_of
from makegood_contracts.events import VenuePublished
from sqlalchemy import select

from makegood_notifications.domain.venues import NO_VENUES, Venue, Venues
from makegood_notifications.store import tables
from makegood_notifications.store.tables import newest

_SAVE: Final = newest(tables.venues)
_FIND: Final = Statement(
    select(tables.venues.c.id, tables.venues.c.name, tables.venues.c.place).where(any_of(tables.venues.c.id))
)


async def follow(queries: Queries, venues: Sequence[VenuePublished]) -> None:
    """Saves the venues, each at most once. An older version never replaces a newer one."""
    await queries.execute(
        _SAVE(
            id=column(venues, "venue_id"),
            name=column(venues, "name"),
            place=column(venues, "place"),
            version=column(venues, "venue_version"),
        )
    )


async def find(queries: Queries, ids: Collection[str | None]) -> Venues:
    """Those of the venues that are known. Does not ask the database if `ids` is empty."""
    venue_ids = sorted({venue_id for venue_id in ids if venue_id is not None})
    if not venue_ids:
        return NO_VENUES
    return {row[0]: Venue(row[1], row[2]) for row in await queries.fetch(_FIND(id=venue_ids))}
