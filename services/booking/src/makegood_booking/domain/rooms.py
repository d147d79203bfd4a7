"""Rooms: the lasting pair of one member and one provider (ROOM-1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from makegood_contracts.events import RoomClosed, RoomOpened

RoomStatus = Literal["active", "closed"]


@dataclass(frozen=True, slots=True)
class Room:
    id: str
    member_id: str
    provider_id: str
    status: RoomStatus
    created_at: datetime
    last_activity_at: datetime
    version: int


def open_room(room_id: str, member_id: str, provider_id: str, now: datetime) -> tuple[Room, RoomOpened]:
    """ROOM-1: a member and a provider share a room from now on."""
    room = Room(room_id, member_id, provider_id, "active", now, now, 1)
    return room, RoomOpened(
        room_id=room_id, member_id=member_id, provider_id=provider_id, room_version=1, opened_at=now
    )


def close_room(room: Room, now: datetime) -> tuple[Room, RoomClosed | None]:
    """ROOM-1: no more bookings in this room. Closing a closed room changes nothing."""
    if room.status == "closed":
        return room, None
    closed = replace(room, status="closed", version=room.version + 1)
    return closed, RoomClosed(
        room_id=room.id,
        member_id=room.member_id,
        provider_id=room.provider_id,
        room_version=closed.version,
        closed_at=now,
    )
