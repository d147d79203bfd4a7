"""Rooms and their parties: who may read and write a chat (ROOM-4), and what it tells of the room itself."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Received
from makegood_contracts.events import ProviderChanged, RoomClosed, RoomOpened, RoomRestarted
from makegood_contracts.events.rooms import RoomFact

from makegood_notifications.domain.announcements import PROVIDER_CHANGED, ROOM_ENDED, ROOM_RESTARTED, Announcements
from makegood_notifications.domain.facts import Facts
from makegood_notifications.domain.origin import origin_of
from makegood_notifications.handlers.sessions import rounds
from makegood_notifications.handlers.telling import Notifier
from makegood_notifications.store import contacts, read_models
from makegood_notifications.store.contacts import DEFAULT_PREFERENCES
from makegood_notifications.store.outgoing import Outgoing


class RoomModel:
    """Follows rooms; wakes requests that came before the news of their room."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    async def opened(self, batch: Sequence[Received[RoomOpened]], unit: UnitOfWork) -> None:
        await self._follow(batch, unit, "active")

    async def closed(self, batch: Sequence[Received[RoomClosed]], unit: UnitOfWork) -> None:
        await self._follow(batch, unit, "closed")

    async def restarted(self, batch: Sequence[Received[RoomRestarted]], unit: UnitOfWork) -> None:
        await self._follow(batch, unit, "active")

    async def left(self, batch: Sequence[Received[ProviderChanged]], unit: UnitOfWork) -> None:
        await self._follow(batch, unit, "closed")

    async def _follow(self, batch: Sequence[Received[RoomFact]], unit: UnitOfWork, status: str) -> None:
        parties = await read_models.parties_of_rooms(unit, [received.key for received in batch])
        for received in batch:
            mine = (received.event.member_id, received.event.provider_id)
            if parties.setdefault(received.key, mine) != mine:
                unit.refuse(received.id, "not-its-parties")
        batch = [received for received in batch if received.id not in unit.refused]
        for part in rounds(batch):
            await read_models.follow_rooms(unit, [received.event for received in part], status)
        keys = {f"room:{received.key}": True for received in batch}
        unit.after_commit(lambda: self._signals.send(keys))


class RoomMessages:
    """The room's chat tells that therapy goes on, or that it goes on elsewhere (ROOM-1, ROOM-3)."""

    def __init__(self, rooms: RoomModel, notifier: Notifier) -> None:
        self._rooms = rooms
        self._notifier = notifier

    async def restarted(self, batch: Sequence[Received[RoomRestarted]], unit: UnitOfWork) -> None:
        await self._rooms.restarted(batch, unit)
        batch = [received for received in batch if received.id not in unit.refused]
        await self._tell(batch, (ROOM_RESTARTED,), unit)

    async def closed(self, batch: Sequence[Received[RoomClosed]], unit: UnitOfWork) -> None:
        """Who erased themselves is told nothing; the other one is told that they are gone (NOTE-5)."""
        await self._rooms.closed(batch, unit)
        for party, news in ROOM_ENDED.items():
            ended = [one for one in batch if one.id not in unit.refused and one.event.erased == party]
            if ended:
                await self._tell(ended, news, unit)

    async def left(self, batch: Sequence[Received[ProviderChanged]], unit: UnitOfWork) -> None:
        await self._rooms.left(batch, unit)
        batch = [received for received in batch if received.id not in unit.refused]
        await self._tell(batch, PROVIDER_CHANGED, unit)

    async def _tell(self, batch: Sequence[Received[RoomFact]], news: Announcements, unit: UnitOfWork) -> None:
        outgoing = Outgoing()
        parties = {person for one in batch for person in (one.event.member_id, one.event.provider_id)}
        known = await contacts.preferences(unit, parties)
        for received in batch:
            event = received.event
            facts = Facts(
                None, event.room_id, event.member_id, event.provider_id, unit.now, unit.now, 0, "", "UTC"
            )  # about no appointment
            member = known.get(event.member_id, DEFAULT_PREFERENCES)
            for message in news:
                person = member if message.to == "member" else known.get(event.provider_id, DEFAULT_PREFERENCES)
                self._notifier.tell(message, facts, origin_of(received), person, member.locale, unit, outgoing)
        await self._notifier.write(outgoing, unit)
