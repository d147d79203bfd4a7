"""PERF-10: what a booking and a missed session cost at most, as counts. They are the same on every machine.

A change that makes one of them dearer must say so here; one that makes it cheaper lowers the bound. Whether an update is a HOT
one depends on what else stands in the page, so the bounds of those two leave some room.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from makegood_testkit.cost_scenarios import BOOKINGS, MISSED, booked_one_by_one, missed_together, warm_up
from makegood_testkit.costs import Meter
from makegood_testkit.platform import Platform

Bounds = dict[str, dict[str, float]]

ONE_BOOKING: Bounds = {
    "statements": {"booking": 18, "availability": 11, "credits": 14, "notifications": 11},
    "rows": {"inserted": 25.2, "updated": 3, "updated_hot": 8.5, "deleted": 4},
    "events": {"booking.sessions.v1": 2, "availability.reservations.v1": 1, "credits.holds.v1": 1},
    "requests": {"booking POST /v1/sessions": 1},
    "batches": {
        "booking.sessions.v1": 2,
        "availability.reservations.v1": 1,
        "credits.holds.v1": 1,
        "__consumer_offsets": 5,
    },
    "totals": {"wal_bytes": 35_000, "writing_transactions": 17, "broker_bytes": 7_000},
}
ONE_OF_TWENTY_MISSED: Bounds = {
    "statements": {"booking": 11, "availability": 2.5, "credits": 2.5, "notifications": 4},
    "rows": {"inserted": 26.2, "updated": 4.5, "updated_hot": 8, "deleted": 12.5},
    "events": {
        "booking.sessions.v1": 1,
        "availability.reservations.v1": 1,
        "credits.ledger.v1": 1,
        "notifications.deliveries.v1": 4,
    },
    "batches": {
        "booking.sessions.v1": 1,
        "availability.reservations.v1": 1,
        "credits.ledger.v1": 1,
        "notifications.deliveries.v1": 4,
        "__consumer_offsets": 1,
    },
    "totals": {"wal_bytes": 50_000, "writing_transactions": 4, "broker_bytes": 12_000},
}


@pytest_asyncio.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform on embedded servers, on which nothing else runs."""
    platform = Platform.at(tmp_path_factory.mktemp("costs"))
    try:
        await asyncio.to_thread(platform.up)
        await warm_up(platform)
        yield platform
    finally:
        await platform.close()
        await asyncio.to_thread(platform.down)


@pytest_asyncio.fixture(scope="module")
async def meter(platform: Platform) -> AsyncIterator[Meter]:
    async with Meter(platform) as meter:
        yield meter


def dearer(costs: Bounds, bounds: Bounds) -> list[str]:
    """What costs more than its bound, and what is counted by a kind of bound but has none."""
    return [
        f"{name} of {key}: {cost}, at most {limits.get(key, 0)}"
        for name, limits in bounds.items()
        for key, cost in costs[name].items()
        if cost > limits.get(key, 0)
    ]


async def test_a_missed_session_costs_no_more(platform: Platform, meter: Meter) -> None:
    costs = (await missed_together(platform, meter)).per(MISSED)
    assert not dearer(costs, ONE_OF_TWENTY_MISSED), json.dumps(costs, indent=1)


async def test_a_booking_costs_no_more(platform: Platform, meter: Meter) -> None:
    costs = (await booked_one_by_one(platform, meter)).per(BOOKINGS)
    assert not dearer(costs, ONE_BOOKING), json.dumps(costs, indent=1)
