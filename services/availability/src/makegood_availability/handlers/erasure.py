"""PersonErased: what a provider wrote for themselves beside time off is personal, and goes with the person."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import PersonErased

from makegood_availability.store import schedules


async def erased(batch: Sequence[Received[PersonErased]], unit: UnitOfWork) -> None:
    """Takes the notes off their time off, and the words off the access log; time off and rows stay."""
    people = [received.event.person_id for received in batch]
    await schedules.erase_notes(unit, people)
    await erase_remarks(unit, people)
