"""A room needs a provider who has a schedule (ROOM-1, ROOM-3)."""

from __future__ import annotations

from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.problems import Problem

from makegood_booking.dependencies import Dependencies
from makegood_booking.handlers.bookability import has_schedule
from makegood_booking.handlers.schedules import schedule_key
from makegood_booking.store.calendars import read_schedule

_PATIENCE: Final = 5.0
"""Seconds that the news of a schedule, published a moment ago, is waited for."""
_WHY: Final = "This provider has no schedule. Check the id; a provider publishes a schedule before sharing a room."


async def wait_for_schedule(provider_id: str, dependencies: Dependencies) -> None:
    """Comes back once booking has heard of a schedule of the provider, or will not soon. Holds no transaction meanwhile.

    An id that was mistyped looks like a provider whose first schedule is on its way: only time tells them apart.
    """

    async def look() -> bool | None:
        async with dependencies.database.reading() as queries:
            return True if await read_schedule(provider_id, queries) else None

    if await look() is None:
        async with dependencies.signals.waiting(schedule_key(provider_id)) as waiter:
            await waiter.result(_PATIENCE, look)


async def require_schedule(provider_id: str, unit: UnitOfWork) -> None:
    """Raises the problem for a provider without a schedule, such as one whose id was mistyped."""
    if not await has_schedule(provider_id, unit.now, unit):
        raise Problem("provider-unavailable", _WHY, reasons=[{"code": "provider-unavailable", "detail": _WHY}])
