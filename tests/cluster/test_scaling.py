"""KEDA starts more processes of one service when it falls behind, and ends them when it has caught up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from makegood_devtools.client import Person
from makegood_devtools.seeding import LENGTH_MINUTES, LoadMember, populate
from makegood_testkit.platform import Platform
from makegood_testkit.waiting import eventually

from .conftest import Figures
from .release import Release

pytestmark = pytest.mark.extended

COMPONENT = "credits-work"
BOOKINGS = 30
"""Of each of the eight members: far more than `lag` of values.yaml, on many partitions."""

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
CREATE TRIGGER slow BEFORE INSERT ON inbox EXECUTE FUNCTION slow();
"""


@asynccontextmanager
async def slow_transactions(database: str) -> AsyncIterator[None]:
    """Each transaction that handles events takes half a second longer meanwhile. `database`: its owner's address."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(SLOW)
        yield
    finally:
        await connection.execute("DROP TRIGGER slow ON inbox; DROP FUNCTION slow")
        await connection.close()


async def test_credits_gets_a_second_worker_when_it_falls_behind_and_loses_it_again(
    platform: Platform, release: Release, figures: Figures
) -> None:
    if not release.scales_by_lag:
        pytest.skip("the cluster has no KEDA")
    release.cluster.wait(f"scaledobject/{release.named(COMPONENT)}", "condition=Ready")
    await asyncio.to_thread(release.ready, COMPONENT, 1)
    now = await platform.now()
    population = await populate(platform.gateway, now, members=8, providers=2, credits=BOOKINGS)
    await platform.settle()
    async with slow_transactions(release.servers.database_url_here("credits", "owner")):
        began = time.monotonic()

        async def book(member: LoadMember) -> None:
            person = Person(platform.gateway.http, member.login)
            for turn in range(BOOKINGS):
                body = {
                    "room_id": member.room_id,
                    "starts_at": member.slot(turn, population.first_day).isoformat(),
                    "length_minutes": LENGTH_MINUTES,
                    "modality": "video",
                    "time_zone": "UTC",
                }
                await person.post("/v1/sessions", body)

        booking_all = asyncio.gather(*map(book, population.members))
        await eventually(lambda: release.replicas(COMPONENT) >= 2, seconds=180, what="a second worker")
        figures["seconds from the first late event to a second credits-work"] = round(time.monotonic() - began, 1)
        await booking_all
        await eventually(lambda: release.count_ready(COMPONENT) >= 2, seconds=180, what="a second ready worker")
        figures["seconds until it is ready"] = round(time.monotonic() - began, 1)
        await platform.settle()
    caught_up = time.monotonic()
    await eventually(lambda: release.replicas(COMPONENT) == 1, seconds=300, what="one worker again")
    figures["seconds from caught up to one credits-work"] = round(time.monotonic() - caught_up, 1)
    assert await asyncio.to_thread(platform.audit) == []
