"""Rooms and their parties: who may read and write a chat (ROOM-4), and what it says about the room itself (ROOM-1, ROOM-3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import ProviderChanged, RoomClosed, RoomOpened, RoomRestarted
from makegood_contracts.events.rooms import RoomFact

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.announcements import PROVIDER_CHANGED, ROOM_ENDED, ROOM_RESTARTED, Announcements
from makegood_notifications.domain.notices import Parties, source_of, timeless_content
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.store import contacts, read_models

R = TypeVar("R", bound=RoomFact)


async def follow_open_rooms(
    batch: Sequence[Received[RoomOpened | RoomRestarted]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Saves who is in these rooms, which are open now. Tells nobody."""
    await _follow(batch, unit, dependencies, "active")


async def follow_closed_rooms(
    batch: Sequence[Received[RoomClosed | ProviderChanged]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Saves that these rooms are closed. Tells nobody."""
    await _follow(batch, unit, dependencies, "closed")


async def on_room_restarted(
    batch: Sequence[Received[RoomRestarted]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Says in the chat that therapy continues (ROOM-1)."""
    await _tell(await _follow(batch, unit, dependencies, "active"), (ROOM_RESTARTED,), unit, dependencies)


async def on_room_closed(batch: Sequence[Received[RoomClosed]], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Tells the other party if one was erased (NOTE-5)."""
    followed = await _follow(batch, unit, dependencies, "closed")
    for party, announcements in ROOM_ENDED.items():
        if ended := [one for one in followed if one.event.erased == party]:
            await _tell(ended, announcements, unit, dependencies)


async def on_provider_changed(
    batch: Sequence[Received[ProviderChanged]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Says in the chat that therapy continues in another room, and tells the provider (ROOM-3)."""
    await _tell(await _follow(batch, unit, dependencies, "closed"), PROVIDER_CHANGED, unit, dependencies)


async def _follow(
    batch: Sequence[Received[R]], unit: UnitOfWork, dependencies: Dependencies, status: str
) -> list[Received[R]]:
    """Saves the rooms, and wakes requests that came before the event of their room. Returns the events that were not
    refused.
    """
    parties = await read_models.parties_of_rooms(unit, [received.key for received in batch])
    for received in batch:
        named = (received.event.member_id, received.event.provider_id)
        if parties.setdefault(received.key, named) != named:
            unit.refuse(received.id, "not-its-parties")
    accepted = [received for received in batch if received.id not in unit.refused]
    for part in read_models.each_key_once(accepted):
        await read_models.follow_rooms(unit, [received.event for received in part], status)
    keys = {f"room:{received.key}": True for received in accepted}
    unit.after_commit(lambda: dependencies.signals.send(keys))
    return accepted


async def _tell(
    batch: Sequence[Received[RoomFact]], announcements: Announcements, unit: UnitOfWork, dependencies: Dependencies
) -> None:
    notifier = Notifier(unit, dependencies)
    people = {person for one in batch for person in (one.event.member_id, one.event.provider_id)}
    preferences = await contacts.preferences(unit, people)
    for received in batch:
        room = received.event
        content = timeless_content(room.member_id, unit.now, room_id=room.room_id, provider_id=room.provider_id)
        parties = Parties.of(preferences, room.member_id, room.provider_id)
        for one in announcements:
            notifier.tell(one.notice(content, source_of(received)), parties)
    await notifier.send()
