"""PersonErased: what a provider wrote for themselves beside time off is personal, and goes with the person."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import PersonErased

from makegood_availability.store import schedules


async def erased(batch: Sequence[Received[PersonErased]], unit: UnitOfWork) -> None:
    """Takes the notes off their time off; the time off itself stays."""
    await schedules.erase_notes(unit, [received.event.person_id for received in batch])
