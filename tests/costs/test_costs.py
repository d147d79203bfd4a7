"""PERF-10: what a booking, a missed session and an idle platform cost at most, as counts. They are the same on every machine.

A change that makes one of them dearer must say so here; one that makes it cheaper lowers the bound. Rows and events are exact.
Statements depend a little on which events share a poll, updates on what else stands in the page, states on how many changes share
a moment, and memory on what processes share, so their bounds leave some room.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest
import pytest_asyncio
from makegood_stack.ports import SERVICES
from makegood_testkit.cost_scenarios import BOOKINGS, MISSED, booked_one_by_one, missed_together, warm_up
from makegood_testkit.costs import Meter
from makegood_testkit.footprint import memory, processes
from makegood_testkit.history import write_history
from makegood_testkit.platform import Platform

Bounds = dict[str, dict[str, float]]

PAST = 300_000
"""Rows of the past, in all tables together."""
GROWTH = 1.75
"""How many times as many blocks a booking may look at with that past. Indexes become a level or two higher, and those of exclusion
constraints are searched in several branches."""

ONE_BOOKING: Bounds = {
    "statements": {"booking": 13, "availability": 8, "credits": 9.5, "notifications": 7},
    "rows": {"inserted": 27.2, "updated": 3, "updated_hot": 8.5, "deleted": 8},
    "events": {
        "booking.sessions.v1": 2,
        "availability.reservations.v1": 1,
        "credits.holds.v1": 1,
        "booking.sessions.state.v1": 2,
        "availability.holds.state.v1": 1,
        "credits.balances.state.v1": 1,
    },
    "requests": {"booking POST /v1/sessions": 1},
    "batches": {
        "booking.sessions.v1": 2,
        "availability.reservations.v1": 1,
        "credits.holds.v1": 1,
        "booking.sessions.state.v1": 1,
        "availability.holds.state.v1": 1,
        "credits.balances.state.v1": 1,
        "__consumer_offsets": 5,
    },
    "totals": {"wal_bytes": 35_000, "writing_transactions": 16.5, "broker_bytes": 9_000},
}
ONE_OF_TWENTY_MISSED: Bounds = {
    "statements": {"booking": 11, "availability": 2.5, "credits": 2.5, "notifications": 4},
    "rows": {"inserted": 38.2, "updated": 4.5, "updated_hot": 8, "deleted": 24.5},
    "events": {
        "booking.sessions.v1": 1,
        "availability.reservations.v1": 1,
        "credits.ledger.v1": 1,
        "notifications.deliveries.v1": 4,
        "booking.sessions.state.v1": 1,
        "availability.holds.state.v1": 1,
        "credits.balances.state.v1": 1,
        "notifications.deliveries.state.v1": 6,
    },
    "batches": {
        "booking.sessions.v1": 1,
        "availability.reservations.v1": 1,
        "credits.ledger.v1": 1,
        "notifications.deliveries.v1": 4,
        "booking.sessions.state.v1": 0.5,
        "availability.holds.state.v1": 0.5,
        "credits.balances.state.v1": 0.5,
        "notifications.deliveries.state.v1": 0.5,
        "__consumer_offsets": 1,
    },
    "totals": {"wal_bytes": 50_000, "writing_transactions": 4, "broker_bytes": 20_000},
}


IDLE: dict[str, float] = {"booking": 9, "availability": 9, "credits": 9.5, "notifications": 13}
"""Statements a second while there is nothing to do."""
IDLE_MIB: dict[str, float] = {"booking": 82, "availability": 80, "credits": 84, "notifications": 92}
"""Memory that would be free if a service's process ended."""


@dataclass(frozen=True)
class Idle:
    """What a platform costs before anybody has used it."""

    statements: Mapping[str, float]
    memory: Mapping[str, float]


@pytest_asyncio.fixture(scope="module")
async def unused(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform on embedded servers, on which nothing else runs."""
    platform = Platform.at(tmp_path_factory.mktemp("costs"))
    async with platform.running():
        yield platform


@pytest_asyncio.fixture(scope="module")
async def idle(unused: Platform) -> Idle:
    async with Meter(unused) as meter:
        needs = memory({name: pid for name, pid in processes(unused).items() if name in SERVICES})
        return Idle(meter.idle_statements, {name: one.own for name, one in needs.items()})


@pytest_asyncio.fixture(scope="module")
async def platform(unused: Platform, idle: Idle) -> Platform:
    """The same platform, once it has been used."""
    await warm_up(unused)
    return unused


@pytest_asyncio.fixture(scope="module")
async def meter(platform: Platform) -> AsyncIterator[Meter]:
    async with Meter(platform) as meter:
        yield meter


@pytest_asyncio.fixture(scope="module")
async def one_booking(platform: Platform, meter: Meter) -> Bounds:
    return (await booked_one_by_one(platform, meter)).per(BOOKINGS)


def dearer(costs: Bounds, bounds: Bounds) -> list[str]:
    """What costs more than its bound, and what is counted by a kind of bound but has none."""
    return [
        f"{name} of {key}: {cost}, at most {limits.get(key, 0)}"
        for name, limits in bounds.items()
        for key, cost in costs[name].items()
        if cost > limits.get(key, 0)
    ]


async def test_an_idle_platform_asks_no_more_and_needs_no_more_memory(idle: Idle) -> None:
    costs = {"statements": dict(idle.statements), "memory": dict(idle.memory)}
    assert costs["memory"].keys() == set(SERVICES)
    assert not dearer(costs, {"statements": IDLE, "memory": IDLE_MIB}), json.dumps(costs, indent=1)


async def test_a_missed_session_costs_no_more(platform: Platform, meter: Meter) -> None:
    costs = (await missed_together(platform, meter)).per(MISSED)
    assert not dearer(costs, ONE_OF_TWENTY_MISSED), json.dumps(costs, indent=1)


async def test_a_booking_costs_no_more(one_booking: Bounds) -> None:
    assert not dearer(one_booking, ONE_BOOKING), json.dumps(one_booking, indent=1)


async def test_a_booking_looks_at_no_more_blocks_after_years(
    platform: Platform, meter: Meter, one_booking: Bounds
) -> None:
    """PERF-9. A statement without an index for it would look at thousands."""
    before = one_booking["blocks"]
    await write_history(platform.stack.database_url, PAST)
    looks = [(await booked_one_by_one(platform, meter)).per(BOOKINGS)["blocks"] for _ in range(2)]
    after = {service: min(look[service] for look in looks) for service in before}
    assert {service: blocks for service, blocks in after.items() if blocks > GROWTH * before[service]} == {}, before
