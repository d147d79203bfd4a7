"""Rooms as booking published them: their parties, and whether they are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement, any_of, arrays, as_text, batch
from makegood_contracts.ids import is_id
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from makegood_availability.store.tables import rooms

_C: Final = rooms.c
_NEW: Final = batch("new", _C)
_INSERT: Final = insert(rooms).from_select(_C.keys(), select(_NEW).order_by(_NEW.c.room_id))
# An event may come twice, or from a topic that is read again. The latest version counts.
_SAVE = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=[_C.room_id],
        set_={"version": _INSERT.excluded.version, "active": _INSERT.excluded.active},
        where=_C.version < _INSERT.excluded.version,
    )
)
_PARTIES = Statement(select(as_text(_C.room_id), _C.member_id, _C.provider_id).where(any_of(_C.room_id)))
_ROOM: Final = select(as_text(_C.room_id), _C.member_id, _C.provider_id, _C.version, _C.active).where(
    _C.room_id == bindparam("room_id")
)
_FIND = Statement(_ROOM)
_FIND_AND_SHARE = Statement(_ROOM.with_for_update(read=True))


@dataclass(frozen=True, slots=True)
class Room:
    """The lasting pair of one member and one provider."""

    room_id: str
    member_id: str
    provider_id: str
    version: int
    active: bool


async def save(unit: UnitOfWork, rooms: Sequence[Room]) -> None:
    """Saves these rooms, each at most once."""
    await unit.execute(_SAVE(**arrays(_C, rooms)))


async def parties(queries: Queries, room_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Known rooms → (member, provider), which never change."""
    rows = await queries.fetch(_PARTIES(room_id=room_ids))
    return {row["room_id"]: (row["member_id"], row["provider_id"]) for row in rows}


async def find(queries: Queries, room_id: str, *, keep: bool = False) -> Room | None:
    """The room with this id. `keep`: locks it until the unit ends."""
    if not is_id(room_id):
        return None
    row = await queries.fetch_one((_FIND_AND_SHARE if keep else _FIND)(room_id=room_id))
    return None if row is None else Room(**row)
