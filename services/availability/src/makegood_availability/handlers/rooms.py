"""Rooms, as booking publishes them. Members can wait in open rooms only (ROOM-1, AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import ProviderChanged, RoomClosed

from makegood_availability.dependencies import Dependencies
from makegood_availability.handlers.waitlist import leave
from makegood_availability.store import rooms, waitlist
from makegood_availability.store.rooms import Room

_CLOSING = (RoomClosed, ProviderChanged)


async def on_room_changed(batch: Sequence[Received[Any]], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Saves the latest version of each room, and ends the waiting in closed rooms."""
    latest: dict[str, Received[Any]] = {}
    parties = await rooms.parties(unit, [received.event.room_id for received in batch])
    for received in batch:
        event = received.event
        named = (event.member_id, event.provider_id)
        if parties.setdefault(event.room_id, named) != named:
            unit.refuse(received.id, "not-its-parties")
            continue
        last = latest.get(event.room_id)
        if last is None or last.event.room_version < event.room_version:
            latest[event.room_id] = received
    if not latest:
        return
    events = [received.event for received in latest.values()]
    await rooms.save(
        unit,
        [Room(e.room_id, e.member_id, e.provider_id, e.room_version, not isinstance(e, _CLOSING)) for e in events],
    )
    closed = [event.room_id for event in events if isinstance(event, _CLOSING)]
    waiting = await waitlist.open_of_rooms(unit, closed) if closed else []
    if waiting:
        causes = {latest[room_id].event.provider_id: latest[room_id].cause for room_id in closed}
        await leave(unit, dependencies, waiting, causes)
