"""A room needs a provider who has a schedule (ROOM-1, ROOM-3)."""

from __future__ import annotations

from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.problems import Problem

from makegood_booking.handlers.schedules import schedule_key
from makegood_booking.lookout import has_schedule
from makegood_booking.parts import Parts

_PATIENCE: Final = 5.0
"""Seconds that the news of a schedule, published a moment ago, is waited for."""
_WHY: Final = "This provider has no schedule. Check the id; a provider publishes a schedule before sharing a room."


async def wait_for_schedule(provider_id: str, parts: Parts) -> None:
    """Comes back once booking has heard of the provider's schedule, or will not soon. Holds no transaction meanwhile."""

    async def look() -> bool | None:
        async with parts.database.reading() as queries:
            return await has_schedule(provider_id, parts.clock.now(), queries) or None

    if await look() is None:
        async with parts.signals.waiting(schedule_key(provider_id)) as waiter:
            await waiter.result(_PATIENCE, look)


async def require_schedule(provider_id: str, unit: UnitOfWork) -> None:
    """Raises the problem for a provider without a schedule, such as one whose id was mistyped."""
    if not await has_schedule(provider_id, unit.now, unit):
        raise Problem("provider-unavailable", _WHY, reasons=[{"code": "provider-unavailable", "detail": _WHY}])
