"""What booking tells of rooms: who can wait in them, and that nobody waits in one that is closed (ROOM-1, AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import ProviderChanged, RoomClosed

from makegood_availability.handlers.waitlist import Line
from makegood_availability.store import rooms, waitlist
from makegood_availability.store.rooms import Room

_CLOSING = (RoomClosed, ProviderChanged)


class Rooms:
    """Keeps the rooms."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def told(self, batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        """Keeps the latest of each room; who waits in one that was closed waits no more."""
        latest: dict[str, Received[Any]] = {}
        parties = await rooms.parties(unit, [received.event.room_id for received in batch])
        for received in batch:
            mine = (received.event.member_id, received.event.provider_id)
            if parties.setdefault(received.event.room_id, mine) != mine:
                unit.refuse(received.id, "not-its-parties")
                continue
            known = latest.get(received.event.room_id)
            if known is None or known.event.room_version < received.event.room_version:
                latest[received.event.room_id] = received
        if not latest:
            return
        await rooms.save(
            unit,
            [
                Room(e.room_id, e.member_id, e.provider_id, e.room_version, not isinstance(e, _CLOSING))
                for e in (received.event for received in latest.values())
            ],
        )
        closed = [room_id for room_id, received in latest.items() if isinstance(received.event, _CLOSING)]
        waiting = await waitlist.open_of_rooms(unit, closed) if closed else []
        if waiting:
            causes = {latest[room_id].event.provider_id: latest[room_id].cause for room_id in closed}
            await self._line.leave(waiting, unit, causes)
