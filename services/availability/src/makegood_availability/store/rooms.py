"""What booking's topic told of rooms: whose they are, and whether they are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from makegood_chassis.database import Queries, UnitOfWork
from makegood_contracts.ids import is_id

# Of what was told twice, or out of a topic read anew, the latest version stands.
_SAVE = """
INSERT INTO rooms (room_id, member_id, provider_id, version, active)
SELECT room_id, member_id, provider_id, version, active
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::boolean[])
    AS told (room_id, member_id, provider_id, version, active)
ORDER BY room_id
ON CONFLICT (room_id) DO UPDATE SET version = excluded.version, active = excluded.active
WHERE rooms.version < excluded.version
"""

_PARTIES = "SELECT room_id::text, member_id, provider_id FROM rooms WHERE room_id = ANY($1::uuid[])"
_FIND = "SELECT room_id::text, member_id, provider_id, version, active FROM rooms WHERE room_id = $1"
_FIND_AND_KEEP = _FIND + " FOR SHARE"


@dataclass(frozen=True, slots=True)
class Room:
    """The lasting pair of one member and one provider."""

    room_id: str
    member_id: str
    provider_id: str
    version: int
    active: bool


async def save(unit: UnitOfWork, rooms: Sequence[Room]) -> None:
    """Keeps what was told of these rooms, each of them once."""
    await unit.execute(
        _SAVE,
        [room.room_id for room in rooms],
        [room.member_id for room in rooms],
        [room.provider_id for room in rooms],
        [room.version for room in rooms],
        [room.active for room in rooms],
    )


async def parties(queries: Queries, room_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Room → (member, provider) of those that are known; they never change."""
    rows = await queries.fetch(_PARTIES, room_ids)
    return {row[0]: (row[1], row[2]) for row in rows}


async def find(queries: Queries, room_id: str, *, keep: bool = False) -> Room | None:
    """The room of this id. `keep`: it stays as it is until the unit ends."""
    if not is_id(room_id):
        return None
    row = await queries.fetch_one(_FIND_AND_KEEP if keep else _FIND, room_id)
    return None if row is None else Room(row[0], row[1], row[2], row[3], row[4])
