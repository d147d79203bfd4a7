"""The answer to what sends messages too often."""

from __future__ import annotations

import math

from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.problems import Problem

from makegood_notifications.domain.allowances import Allowance
from makegood_notifications.store import allowances


async def not_too_often(unit: UnitOfWork, allowance: Allowance, entity_id: str) -> None:
    """Uses the allowance once, in the transaction of what it allows; 409 `too-soon` if none is left."""
    next_at = await allowances.use(unit, allowance, entity_id)
    if next_at is not None:
        seconds = max(1, math.ceil((next_at - unit.now).total_seconds()))
        raise Problem("too-soon", headers={"Retry-After": str(seconds)}, next_at=next_at)
