"""Rooms and their parties: who may read and write a chat (ROOM-4)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Received
from makegood_contracts.events import RoomClosed, RoomOpened
from makegood_contracts.events.rooms import RoomFact

from makegood_notifications.handlers.sessions import rounds
from makegood_notifications.store import read_models


class RoomModel:
    """Follows rooms; wakes requests that came before the news of their room."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    async def opened(self, batch: Sequence[Received[RoomOpened]], unit: UnitOfWork) -> None:
        await self._follow(batch, unit, "active")

    async def closed(self, batch: Sequence[Received[RoomClosed]], unit: UnitOfWork) -> None:
        await self._follow(batch, unit, "closed")

    async def _follow(self, batch: Sequence[Received[RoomFact]], unit: UnitOfWork, status: str) -> None:
        for part in rounds(batch):
            await read_models.follow_rooms(unit, [received.event for received in part], status)
        keys = {f"room:{received.key}": True for received in batch}
        unit.after_commit(lambda: self._signals.send(keys))
