"""SchedulePublished: wakes requests that wait for a provider's first schedule (ROOM-1)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import EventHandler
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Received
from makegood_contracts.events import SchedulePublished


def schedule_key(provider_id: str) -> str:
    return f"schedule:{provider_id}"


def on_schedule(signals: Signals) -> EventHandler:
    """Tells those who wait for it, once what it says is kept."""

    async def handle(batch: Sequence[Received[SchedulePublished]], unit: UnitOfWork) -> None:
        heard = {schedule_key(received.event.provider_id): True for received in batch}
        unit.after_commit(lambda: signals.send(heard))

    return handle
