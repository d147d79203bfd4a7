"""`booking.rooms.v1`: rooms, each of one member and one provider."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from makegood_contracts.events.base import Event
from makegood_contracts.events.sessions import Actor, Party
from makegood_contracts.topics import ROOMS, Topic


class RoomFact(Event, frozen=True, kw_only=True):
    """The fields of every room event."""

    topic: ClassVar[Topic] = ROOMS

    room_id: str
    member_id: str
    provider_id: str
    room_version: int


class RoomOpened(RoomFact, frozen=True, kw_only=True):
    """A room was opened for a member and a provider (ROOM-1)."""

    opened_at: datetime


class RoomClosed(RoomFact, frozen=True, kw_only=True):
    """The room was closed and takes no more bookings (ROOM-1). `erased`: the party whose erasure closed it (NOTE-5)."""

    closed_at: datetime
    erased: Party | None = None
    closed_by: Actor | None = None


class RoomRestarted(RoomFact, frozen=True, kw_only=True):
    """The member restarted therapy with the same provider (ROOM-1, ROOM-2)."""

    restarted_at: datetime


class ProviderChanged(RoomFact, frozen=True, kw_only=True):
    """The member changed to another provider, in a new room (ROOM-3). This room is closed."""

    new_room_id: str
    new_provider_id: str
    changed_at: datetime
