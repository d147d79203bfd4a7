"""PolicyChanged: the policy's numbers that credits needs (CRED-5)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import PolicyChanged

from makegood_credits.store import policies


async def on_policy_changed(batch: Sequence[Received[PolicyChanged]], unit: UnitOfWork) -> None:
    """Saves the latest version."""
    latest = max((received.event for received in batch), key=lambda event: event.policy_version)
    await policies.save(unit, latest.policy_version, latest.adjustment_limit)
