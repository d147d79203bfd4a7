"""Venues: places for sessions in person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from makegood_calendar.slot_rules import Venue
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_contracts.ids import is_id
from sqlalchemy import select

from makegood_availability.store.bodies import venue_of
from makegood_availability.store.cache import Parsed
from makegood_availability.store.tables import venues

_VERSIONS = "SELECT id, version FROM venues WHERE id = ANY($1::uuid[])"
_HOURS = "SELECT id, version, time_zone, weekly FROM venues WHERE id = ANY($1::uuid[])"
_TAKE_UNTOLD = """
UPDATE venues SET told = true
WHERE id IN (SELECT id FROM venues WHERE NOT told ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""

MOST_SEARCHED: Final = 500
"""Venues among which one is looked for that is free: the oldest ones, where there are more."""


@dataclass(frozen=True, slots=True)
class VenueRow:
    """A venue as it is kept; `weekly` is None for one that is always open."""

    id: str
    version: int
    name: str
    place: str | None
    time_zone: str
    weekly: Sequence[Mapping[str, Any]] | None


class Venues:
    """The venues' hours, parsed once a version."""

    def __init__(self, most: int = 4096) -> None:
        self._parsed: Parsed[Venue] = Parsed(most)

    async def load(self, queries: Queries, venue_ids: Collection[str]) -> dict[str, Venue]:
        """These venues as they stand now; an id that names none is left out."""
        wanted = [venue_id for venue_id in venue_ids if is_id(venue_id)]
        if not wanted:
            return {}
        rows = await queries.fetch(_VERSIONS, wanted)

        async def read(missing: Collection[str]) -> dict[str, tuple[int, Venue]]:
            found = await queries.fetch(_HOURS, list(missing))
            return {str(row[0]): (row[1], venue_of(row[2], row[3])) for row in found}

        return await self._parsed.get({str(row[0]): row[1] for row in rows}, read)


async def all_ids(queries: Queries) -> list[str]:
    """The ids of all venues, in the order of their making."""
    return [str(row[0]) for row in await queries.fetch("SELECT id FROM venues ORDER BY id LIMIT $1", MOST_SEARCHED)]


async def insert(unit: UnitOfWork, venue: VenueRow) -> None:
    """A new venue."""
    await unit.execute(
        "INSERT INTO venues (id, version, name, place, time_zone, weekly, told) VALUES ($1, $2, $3, $4, $5, $6, true)",
        venue.id,
        venue.version,
        venue.name,
        venue.place,
        venue.time_zone,
        venue.weekly,
    )


async def take_untold(unit: UnitOfWork, most: int) -> list[VenueRow]:
    """Venues that nobody has heard of yet, `most` at most; from now on they count as told."""
    rows = await unit.fetch(_TAKE_UNTOLD, most)
    return [_venue(row) for row in rows]


async def lock(unit: UnitOfWork, venue_id: str) -> VenueRow | None:
    """The venue, locked for a change."""
    row = await unit.fetch_one(select(venues).where(venues.c.id == venue_id).with_for_update())
    return None if row is None else _venue(row)


async def update(unit: UnitOfWork, venue: VenueRow) -> None:
    """Replaces what is known of the venue."""
    await unit.execute(
        "UPDATE venues SET version = $2, name = $3, place = $4, time_zone = $5, weekly = $6, told = true WHERE id = $1",
        venue.id,
        venue.version,
        venue.name,
        venue.place,
        venue.time_zone,
        venue.weekly,
    )


async def set_code(unit: UnitOfWork, venue_id: str, version: int, code: str) -> None:
    """The venue shows this code from now on. Its row is locked."""
    await unit.execute("UPDATE venues SET version = $2, check_in_code = $3 WHERE id = $1", venue_id, version, code)


async def read_code(queries: Queries, venue_id: str) -> tuple[int, str] | None:
    """The venue's version and the code that it shows; None if it shows none, or does not exist."""
    row = await queries.fetch_one("SELECT version, check_in_code FROM venues WHERE id = $1", venue_id)
    return None if row is None or row[1] is None else (row[0], row[1])


async def find(queries: Queries, venue_id: str) -> VenueRow | None:
    """The venue of this id."""
    row = await queries.fetch_one(select(venues).where(venues.c.id == venue_id))
    return None if row is None else _venue(row)


async def list_venues(queries: Queries, after: str | None, most: int) -> Sequence[VenueRow]:
    """Venues in the order of their making, behind the id `after`."""
    statement = select(venues).order_by(venues.c.id).limit(most)
    rows = await queries.fetch(statement if after is None else statement.where(venues.c.id > after))
    return [_venue(row) for row in rows]


def _venue(row: Row) -> VenueRow:
    return VenueRow(str(row["id"]), row["version"], row["name"], row["place"], row["time_zone"], row["weekly"])
