"""Rooms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final

import asyncpg
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement, any_of
from makegood_contracts.events import Specialty
from sqlalchemy import Integer, bindparam, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from makegood_booking.domain.rooms import Room
from makegood_booking.store.tables import rooms

_C: Final = rooms.c
ROOM_COLUMNS: Final = [_C[field.name] for field in fields(Room)]
_ROOM: Final = select(*ROOM_COLUMNS)
_BY_ID: Final = _ROOM.where(_C.id == bindparam("id"))
_READ: Final = Statement(_BY_ID)
_LOCK: Final = Statement(_BY_ID.with_for_update())
_ACTIVE: Final = Statement(
    _ROOM.where(text("member_id = :member_id AND provider_id = :provider_id AND status = 'active'"))
)
_LOCK_ACTIVE_OF: Final = Statement(
    _ROOM.where(text("status = 'active' AND (member_id = ANY(:people) OR provider_id = ANY(:people))"))
    .order_by(_C.id)
    .with_for_update()
)
_BOOKABLE: Final = Statement(
    _ROOM.add_columns(
        text("(SELECT max(other.last_activity_at) FROM rooms AS other WHERE other.member_id = rooms.member_id)"),
        text(
            "coalesce((SELECT specialty FROM provider_schedules AS s WHERE s.provider_id = rooms.provider_id), 'therapy')"
        ),
    ).where(any_of(_C.id))
)
_ADD: Final = Statement(
    insert(rooms)
    .values({each.name: bindparam(each.name) for each in ROOM_COLUMNS})
    .on_conflict_do_nothing(index_elements=[_C.member_id, _C.provider_id], index_where=text("status = 'active'"))
    .returning(_C.id)
)
_SAVE: Final = Statement(
    "UPDATE rooms SET status = :status, version = :version, closed_by = :closed_by, "
    "last_activity_at = greatest(last_activity_at, :last_activity_at) WHERE id = :id"
)
_TOUCH: Final = Statement("""
UPDATE rooms SET last_activity_at = :now
WHERE id IN (SELECT id FROM rooms
             WHERE id = ANY(CAST(:id AS uuid[])) AND last_activity_at < CAST(:now AS timestamptz) - interval '1 minute'
             ORDER BY id FOR UPDATE SKIP LOCKED)
""")
_SEEN: Final = Statement("""
WITH seen AS (
    SELECT room_id, person, max(at) AS at
    FROM unnest(CAST(:room_id AS uuid[]), CAST(:person AS text[]), CAST(:at AS timestamptz[])) AS told (room_id, person, at)
    GROUP BY room_id, person
), locked AS (
    SELECT rooms.id, seen.at FROM rooms
    JOIN seen ON seen.room_id = rooms.id AND seen.person = rooms.member_id AND rooms.last_activity_at < seen.at
    ORDER BY rooms.id FOR UPDATE OF rooms
)
UPDATE rooms SET last_activity_at = greatest(rooms.last_activity_at, locked.at) FROM locked WHERE rooms.id = locked.id
""")
_CHANGES: Final = 0x726F6F6D
_LOCK_CHANGES: Final = Statement("SELECT pg_advisory_xact_lock(:kind, hashtext(:member_id))")
_LAST_LEFT_FREE: Final = Statement("SELECT max(left_free_at) FROM rooms WHERE member_id = :member_id")
_LEAVE_FREE: Final = Statement("UPDATE rooms SET left_free_at = :now WHERE id = :id")


@dataclass(frozen=True, slots=True)
class RoomToBook:
    """A room, with what else a booking needs. `active_at`: when its member was last active, in any room."""

    room: Room
    active_at: datetime
    specialty: Specialty


def room_of(row: Row) -> Room:
    """The room in a row that begins with `ROOM_COLUMNS`."""
    return Room(str(row[0]), *row[1 : len(ROOM_COLUMNS)])


async def add_room(unit: UnitOfWork, room: Room) -> bool:
    """Inserts the room. Returns False if the pair already has an active one."""
    return await unit.fetch_value(_ADD(**asdict(room))) is not None


async def active_room(queries: Queries, member_id: str, provider_id: str) -> Room | None:
    row = await queries.fetch_one(_ACTIVE(member_id=member_id, provider_id=provider_id))
    return room_of(row) if row else None


async def read_room(queries: Queries, room_id: str) -> Room | None:
    row = await queries.fetch_one(_READ(id=room_id))
    return room_of(row) if row else None


async def lock_room(unit: UnitOfWork, room_id: str) -> Room | None:
    row = await unit.fetch_one(_LOCK(id=room_id))
    return room_of(row) if row else None


async def lock_active_of(unit: UnitOfWork, people: Collection[str]) -> list[Room]:
    """The active rooms of these people, as members or providers, locked in a fixed order."""
    return [room_of(row) for row in await unit.fetch(_LOCK_ACTIVE_OF(people=list(people)))]


async def read_rooms(queries: Queries, room_ids: Collection[str]) -> dict[str, RoomToBook]:
    """The rooms with these ids, by id."""
    found = await queries.fetch(_BOOKABLE(id=list(room_ids)))
    return {str(row["id"]): RoomToBook(room_of(row), *row[len(ROOM_COLUMNS) :]) for row in found}


async def save_room(unit: UnitOfWork, room: Room) -> bool:
    """Saves a room that was locked in this unit. Returns False if the pair has another active room, so that this one
    cannot be active.
    """
    try:
        async with unit.savepoint():
            await unit.execute(
                _SAVE(
                    id=room.id,
                    status=room.status,
                    version=room.version,
                    closed_by=room.closed_by,
                    last_activity_at=room.last_activity_at,
                )
            )
    except asyncpg.UniqueViolationError:
        return False
    return True


async def lock_changes(unit: UnitOfWork, member_id: str) -> datetime | None:
    """When the member last changed provider without loss although sessions were within the notice. Nobody else decides
    about a change of this member until the unit ends (ROOM-3).
    """
    await unit.execute(_LOCK_CHANGES(kind=_CHANGES, member_id=member_id))
    found: datetime | None = await unit.fetch_value(_LAST_LEFT_FREE(member_id=member_id))
    return found


async def mark_left_free(unit: UnitOfWork, room_id: str) -> None:
    """Records that the member leaves the room without loss although sessions are within the notice (ROOM-3)."""
    await unit.execute(_LEAVE_FREE(id=room_id, now=unit.now))


def touch_rooms(unit: UnitOfWork, room_ids: Collection[str]) -> None:
    """Records that the members of these rooms are active now (ROOM-2), to the minute, so that busy rooms are rarely
    written.
    """
    unit.defer(_TOUCH(id=list(room_ids), now=unit.now))


async def touch_by_members(unit: UnitOfWork, seen: Sequence[tuple[str, str, datetime]]) -> None:
    """Records activity, given as (room, person, moment). It counts only if the person is the room's member."""
    room_id, person, at = zip(*seen, strict=True)
    await unit.execute(_SEEN(room_id=room_id, person=person, at=at))


async def list_rooms(
    queries: Queries, member_id: str | None, provider_id: str | None, status: str | None, after: str | None, most: int
) -> Sequence[Room]:
    """At most `most` rooms, oldest first, of the member or the provider. Everybody's if both are None."""
    filters = {"member_id": member_id, "provider_id": provider_id, "status": status, "after": after}
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    return [room_of(row) for row in await queries.fetch(_list(frozenset(given))(**given, most=most))]


@cache
def _list(given: frozenset[str]) -> Statement:
    """A page of the list that takes these parameters."""
    query = _ROOM
    whose = [_C[name] == bindparam(name) for name in ("member_id", "provider_id") if name in given]
    if whose:
        query = query.where(or_(*whose))
    if "status" in given:
        query = query.where(_C.status == bindparam("status"))
    if "after" in given:
        query = query.where(_C.id > bindparam("after"))
    return Statement(query.order_by(_C.id).limit(bindparam("most", type_=Integer())))
