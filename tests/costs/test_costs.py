"""PERF-10: what a booking and a missed session cost at most, as counts. They are the same on every machine.

A change that makes one of them dearer must say so here; one that makes it cheaper lowers the bound.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from makegood_testkit.chaos import drained
from makegood_testkit.costs import Costs, Meter
from makegood_testkit.platform import Platform

BOOKINGS = 20
MISSED = 20

Bounds = dict[str, dict[str, float]]

ONE_BOOKING: Bounds = {
    "statements": {"booking": 17, "availability": 10, "credits": 13, "notifications": 10},
    "rows": {"inserted": 25.2, "updated": 1.6, "updated_hot": 8, "deleted": 4},
    "events": {"booking.sessions.v1": 2, "availability.reservations.v1": 1, "credits.holds.v1": 1},
    "totals": {"wal_bytes": 35_000, "writing_transactions": 17},
}
"""From the request to `reserved`, each one alone: no batch makes it cheaper."""

ONE_OF_TWENTY_MISSED: Bounds = {
    "statements": {"booking": 10, "availability": 2, "credits": 2, "notifications": 4},
    "rows": {"inserted": 26.2, "updated": 3.2, "updated_hot": 7.2, "deleted": 12.5},
    "events": {
        "booking.sessions.v1": 1,
        "availability.reservations.v1": 1,
        "credits.ledger.v1": 1,
        "notifications.deliveries.v1": 4,
    },
    "totals": {"wal_bytes": 50_000, "writing_transactions": 4},
}
"""From the deadline to credit, slot, chat and e-mails, twenty at one moment: a batch shares statements and transactions."""


@pytest_asyncio.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform on embedded servers of its own, on which nothing else runs."""
    platform = Platform.at(tmp_path_factory.mktemp("costs"))
    try:
        await asyncio.to_thread(platform.up)
        warm_up = await platform.cast()
        await warm_up.confirmed(timedelta(days=20))
        yield platform
    finally:
        await platform.close()
        await asyncio.to_thread(platform.down)


@pytest_asyncio.fixture(scope="module")
async def meter(platform: Platform) -> AsyncIterator[Meter]:
    await drained(platform)
    async with Meter(platform) as meter:
        yield meter


async def counted(platform: Platform, meter: Meter, work: Callable[[], Awaitable[Any]]) -> Costs:
    """What the work cost, with everything that follows from it."""
    async with meter.counting() as costs:
        await work()
        await drained(platform)
    return costs


def dearer(costs: Bounds, bounds: Bounds) -> dict[str, dict[str, float]]:
    """What costs more than its bound, and whatever has none."""
    over = {
        name: {key: cost for key, cost in costs[name].items() if cost > limits.get(key, 0)}
        for name, limits in bounds.items()
    }
    return {name: found for name, found in over.items() if found}


async def test_sessions_that_are_missed_at_one_moment(platform: Platform, meter: Meter) -> None:
    casts = [await platform.cast() for _ in range(MISSED)]
    sessions = [await cast.confirmed() for cast in casts]
    await drained(platform)
    start = max(datetime.fromisoformat(session["starts_at"]) for session in sessions)

    async def work() -> None:
        await platform.advance_to(start + timedelta(minutes=15))
        for cast, session in zip(casts, sessions, strict=True):
            await cast.settled(session, "provider_missed", "returned")

    costs = (await counted(platform, meter, work)).per(MISSED)
    assert not dearer(costs, ONE_OF_TWENTY_MISSED), json.dumps(costs, indent=1)


async def test_one_booking_after_the_other(platform: Platform, meter: Meter) -> None:
    casts = [await platform.cast() for _ in range(BOOKINGS // 4)]  # who have four credits each
    await drained(platform)

    async def work() -> None:
        for cast in casts:
            for days in range(4):
                await cast.book(timedelta(days=4 + days))

    costs = (await counted(platform, meter, work)).per(BOOKINGS)
    assert not dearer(costs, ONE_BOOKING), json.dumps(costs, indent=1)
