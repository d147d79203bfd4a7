"""Venues: places for in-person sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from makegood_calendar.slot_rules import Venue
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement, any_of, as_text
from makegood_contracts.ids import is_id
from sqlalchemy import bindparam, select, true, update

from makegood_availability.store.bodies import venue_of
from makegood_availability.store.cache import VersionedCache
from makegood_availability.store.tables import venues

MOST_SEARCHED: Final = 500
"""How many venues a search for a free one looks at; if there are more, the oldest."""

_C: Final = venues.c
_ROW: Final = (as_text(_C.id), _C.version, _C.name, _C.place, _C.time_zone, _C.weekly)
_BY_ID: Final = _C.id == bindparam("venue_id")

_READ_VERSIONS = Statement(select(as_text(_C.id), _C.version).where(any_of(_C.id)))
_READ_HOURS = Statement(select(as_text(_C.id), _C.version, _C.time_zone, _C.weekly).where(any_of(_C.id)))
_READ_IDS = Statement(select(as_text(_C.id)).order_by(_C.id).limit(bindparam("most")))
_FIND = Statement(select(*_ROW).where(_BY_ID))
_LOCK = Statement(select(*_ROW).where(_BY_ID).with_for_update())
_READ_CODE = Statement(select(_C.version, _C.check_in_code).where(_BY_ID))
_INSERT = Statement(
    "INSERT INTO venues (id, version, name, place, time_zone, weekly, told) "
    "VALUES (:id, :version, :name, :place, :time_zone, :weekly, true)"
)
_UPDATE = Statement(
    "UPDATE venues SET version = :version, name = :name, place = :place, time_zone = :time_zone, weekly = :weekly, told = true "
    "WHERE id = :id"
)
_SET_CODE = Statement("UPDATE venues SET version = :version, check_in_code = :code WHERE id = :id")
_UNPUBLISHED: Final = (
    select(_C.id).where(~_C.told).order_by(_C.id).limit(bindparam("most")).with_for_update(skip_locked=True)
)
_TAKE_UNPUBLISHED = Statement(update(venues).values(told=true()).where(_C.id.in_(_UNPUBLISHED)).returning(*_ROW))


@dataclass(frozen=True, slots=True)
class VenueRow:
    """A venue as it is stored. `weekly` is None if it is always open."""

    id: str
    version: int
    name: str
    place: str | None
    time_zone: str
    weekly: Sequence[Mapping[str, Any]] | None


class VenueCache:
    """The venues' hours, parsed once per version."""

    def __init__(self, most: int = 4096) -> None:
        self._parsed: VersionedCache[Venue] = VersionedCache(most)

    async def load(self, queries: Queries, venue_ids: Collection[str]) -> dict[str, Venue]:
        """These venues. Unknown ids are left out."""
        wanted = [venue_id for venue_id in venue_ids if is_id(venue_id)]
        if not wanted:
            return {}
        rows = await queries.fetch(_READ_VERSIONS(id=wanted))

        async def read(missing: Collection[str]) -> dict[str, tuple[int, Venue]]:
            found = await queries.fetch(_READ_HOURS(id=list(missing)))
            return {row["id"]: (row["version"], venue_of(row["time_zone"], row["weekly"])) for row in found}

        return await self._parsed.get({row["id"]: row["version"] for row in rows}, read)


async def all_ids(queries: Queries) -> list[str]:
    """The ids of the venues, oldest first."""
    return [row["id"] for row in await queries.fetch(_READ_IDS(most=MOST_SEARCHED))]


async def insert_venue(unit: UnitOfWork, venue: VenueRow) -> None:
    """Inserts a venue."""
    await unit.execute(_INSERT(**asdict(venue)))


async def lock(unit: UnitOfWork, venue_id: str) -> VenueRow | None:
    """The venue, locked for a change."""
    return _venue(await unit.fetch_one(_LOCK(venue_id=venue_id))) if is_id(venue_id) else None


async def update_venue(unit: UnitOfWork, venue: VenueRow) -> None:
    """Replaces the venue's description and hours. Its row is locked."""
    await unit.execute(_UPDATE(**asdict(venue)))


async def take_unpublished(unit: UnitOfWork, most: int) -> list[VenueRow]:
    """At most so many venues that were never published. From now on they count as published."""
    return [VenueRow(**row) for row in await unit.fetch(_TAKE_UNPUBLISHED(most=most))]


async def set_code(unit: UnitOfWork, venue_id: str, version: int, code: str) -> None:
    """Saves the code that the venue shows from now on. Its row must be locked."""
    await unit.execute(_SET_CODE(id=venue_id, version=version, code=code))


async def read_code(queries: Queries, venue_id: str) -> tuple[int, str] | None:
    """The venue's version and its code. None if it has no code or does not exist."""
    row = await queries.fetch_one(_READ_CODE(venue_id=venue_id)) if is_id(venue_id) else None
    return None if row is None or row["check_in_code"] is None else (row["version"], row["check_in_code"])


async def find(queries: Queries, venue_id: str) -> VenueRow | None:
    """The venue with this id."""
    return _venue(await queries.fetch_one(_FIND(venue_id=venue_id))) if is_id(venue_id) else None


async def list_venues(queries: Queries, after: str | None, most: int) -> Sequence[VenueRow]:
    """Venues, oldest first, after the id `after`."""
    statement = select(*_ROW).order_by(_C.id).limit(most)
    rows = await queries.fetch(statement if after is None else statement.where(_C.id > after))
    return [VenueRow(**row) for row in rows]


def _venue(row: Row | None) -> VenueRow | None:
    return None if row is None else VenueRow(**row)
