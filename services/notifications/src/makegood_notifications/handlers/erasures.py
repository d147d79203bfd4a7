"""Erases people whose waiting period is over, and tells the other services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.events import PersonErased

from makegood_notifications.store import erasures, personal_data
from makegood_notifications.store.revocations import next_sequence

ERASURE: Final = "erasure"


async def on_erasure_due(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """One that was taken back meanwhile is not among them."""
    for person_id, reason, requested_by in await erasures.due(unit, [one.entity_id for one in batch]):
        await erase(unit, person_id, reason, requested_by)


async def erase(unit: UnitOfWork, person_id: str, reason: str, requested_by: str) -> None:
    """Erases the person here; the other services hear of it."""
    await personal_data.erase(unit, person_id, unit.now, reason, requested_by)
    unit.publish(PersonErased(person_id=person_id, erased_at=unit.now), sequence=await next_sequence(unit, person_id))
