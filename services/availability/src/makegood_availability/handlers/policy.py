"""The policy's numbers that availability needs: they count for offers made from then on (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import PolicyChanged

from makegood_availability.store import policy


async def changed(batch: Sequence[Received[PolicyChanged]], unit: UnitOfWork) -> None:
    """Keeps the latest version."""
    latest = max((received.event for received in batch), key=lambda event: event.policy_version)
    await policy.save(unit, latest.policy_version, latest.offer_minutes)
