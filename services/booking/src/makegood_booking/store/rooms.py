"""Rooms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_contracts.events import Specialty
from sqlalchemy import or_, select

from makegood_booking.domain.rooms import Room
from makegood_booking.store.tables import rooms

_COLUMNS: Final = "id, member_id, provider_id, status, created_at, last_activity_at, version, closed_by"
_ADD = """
INSERT INTO rooms (id, member_id, provider_id, status, created_at, last_activity_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (member_id, provider_id) WHERE status = 'active' DO NOTHING RETURNING id
"""
_TOUCH = """
UPDATE rooms SET last_activity_at = $2
WHERE id IN (SELECT id FROM rooms
             WHERE id = ANY($1::uuid[]) AND last_activity_at < $2::timestamptz - interval '1 minute'
             ORDER BY id FOR UPDATE SKIP LOCKED)
"""
_SEEN = """
WITH seen AS (
    SELECT room_id, person, max(at) AS at FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS told (room_id, person, at)
    GROUP BY room_id, person
), locked AS (
    SELECT rooms.id, seen.at FROM rooms
    JOIN seen ON seen.room_id = rooms.id AND seen.person = rooms.member_id AND rooms.last_activity_at < seen.at
    ORDER BY rooms.id FOR UPDATE OF rooms
)
UPDATE rooms SET last_activity_at = greatest(rooms.last_activity_at, locked.at) FROM locked WHERE rooms.id = locked.id
"""
_BOOKABLE = f"""
SELECT {_COLUMNS},
    (SELECT max(other.last_activity_at) FROM rooms AS other WHERE other.member_id = rooms.member_id),
    coalesce((SELECT specialty FROM provider_schedules AS s WHERE s.provider_id = rooms.provider_id), 'therapy')
FROM rooms WHERE id = ANY($1::uuid[])
"""  # noqa: S608
_CHANGES: Final = 0x726F6F6D
_LOCK_ACTIVE_OF = f"""
SELECT {_COLUMNS} FROM rooms WHERE status = 'active' AND (member_id = ANY($1::text[]) OR provider_id = ANY($1::text[]))
ORDER BY id FOR UPDATE
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class RoomToBook:
    """A room with what a booking needs to know beside it. `active_at`: when its member was last active, in any room."""

    room: Room
    active_at: datetime
    specialty: Specialty


def _room(row: Row) -> Room:
    return Room(str(row[0]), *row[1:])


async def add_room(unit: UnitOfWork, room: Room) -> bool:
    """Inserts the room; False where the pair has an active one."""
    values = (room.member_id, room.provider_id, room.status, room.created_at, room.last_activity_at, room.version)
    return await unit.fetch_value(_ADD, room.id, *values) is not None


async def active_room(queries: Queries, member_id: str, provider_id: str) -> Room | None:
    row = await queries.fetch_one(
        f"SELECT {_COLUMNS} FROM rooms WHERE member_id = $1 AND provider_id = $2 AND status = 'active'",  # noqa: S608
        member_id,
        provider_id,
    )
    return _room(row) if row else None


async def read_room(queries: Queries, room_id: str) -> Room | None:
    row = await queries.fetch_one(f"SELECT {_COLUMNS} FROM rooms WHERE id = $1", room_id)  # noqa: S608
    return _room(row) if row else None


async def lock_room(unit: UnitOfWork, room_id: str) -> Room | None:
    row = await unit.fetch_one(f"SELECT {_COLUMNS} FROM rooms WHERE id = $1 FOR UPDATE", room_id)  # noqa: S608
    return _room(row) if row else None


async def lock_active_of(unit: UnitOfWork, people: Collection[str]) -> list[Room]:
    """The active rooms of these people, as members or providers, locked in one order."""
    return [_room(row) for row in await unit.fetch(_LOCK_ACTIVE_OF, list(people))]


async def read_rooms(queries: Queries, room_ids: Collection[str]) -> dict[str, RoomToBook]:
    """The rooms of these ids by id."""
    found = await queries.fetch(_BOOKABLE, list(room_ids))
    return {str(row[0]): RoomToBook(Room(str(row[0]), *row[1:8]), row[8], row[9]) for row in found}


async def save_room(unit: UnitOfWork, room: Room) -> bool:
    """Writes a room that was locked in this unit; False where it cannot be active, since the pair has another room that is."""
    try:
        async with unit.connection.transaction():
            await _save_room(unit, room)
    except asyncpg.UniqueViolationError:
        return False
    return True


async def _save_room(unit: UnitOfWork, room: Room) -> None:
    await unit.execute(
        "UPDATE rooms SET status = $2, version = $3, last_activity_at = greatest(last_activity_at, $4), closed_by = $5 "
        "WHERE id = $1",
        room.id,
        room.status,
        room.version,
        room.last_activity_at,
        room.closed_by,
    )


async def lock_changes(unit: UnitOfWork, member_id: str) -> datetime | None:
    """When the member last changed the provider without loss though sessions lay within the notice; nobody else decides
    about a change of theirs until the unit ends (ROOM-3)."""
    await unit.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _CHANGES, member_id)
    found: datetime | None = await unit.fetch_value(
        "SELECT max(left_free_at) FROM rooms WHERE member_id = $1", member_id
    )
    return found


async def mark_left_free(unit: UnitOfWork, room_id: str) -> None:
    """The room's member leaves it without loss though sessions lie within the notice (ROOM-3)."""
    await unit.execute("UPDATE rooms SET left_free_at = $2 WHERE id = $1", room_id, unit.now)


async def touch_rooms(unit: UnitOfWork, room_ids: Collection[str]) -> None:
    """The members of these rooms are active now (ROOM-2). Kept to the minute, so that busy rooms are seldom written."""
    await unit.execute(_TOUCH, list(room_ids), unit.now)


async def touch_by_members(unit: UnitOfWork, seen: Sequence[tuple[str, str, datetime]]) -> None:
    """These people were active in these rooms then (room, person, moment); counts where the person is the room's member."""
    await unit.execute(_SEEN, *(list(values) for values in zip(*seen, strict=True)))


async def list_rooms(
    queries: Queries, member_id: str | None, provider_id: str | None, status: str | None, after: str | None, most: int
) -> Sequence[Room]:
    """At most `most` rooms in the order of their making, of the member or the provider; of everybody where both are None."""
    query = select(rooms)
    whose = [
        column == person
        for column, person in ((rooms.c.member_id, member_id), (rooms.c.provider_id, provider_id))
        if person is not None
    ]
    if whose:
        query = query.where(or_(*whose))
    if status is not None:
        query = query.where(rooms.c.status == status)
    if after is not None:
        query = query.where(rooms.c.id > after)
    return [_room(row) for row in await queries.fetch(query.order_by(rooms.c.id).limit(most))]
