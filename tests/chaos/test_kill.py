"""Each service, the broker and the database die twice under load: nothing is lost, nothing is done twice (REL-1, short)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from makegood_testkit.chaos import MixedLoad, drained, kill_in_turn, verify
from makegood_testkit.platform import Platform

VICTIMS = ("booking", "availability", "credits", "notifications", "kafka", "postgresql")


@pytest_asyncio.fixture
async def doomed(tmp_path: Path) -> AsyncIterator[Platform]:
    """A platform of its own, on servers of its own that may die."""
    platform = Platform.at(tmp_path)
    async with platform.running():
        yield platform


@pytest.mark.slow
@pytest.mark.rule("REL-1")
async def test_everything_dies_twice_under_load(doomed: Platform) -> None:
    load = await MixedLoad.prepare(doomed)
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill_in_turn(doomed, VICTIMS * 2, pause=1.5))
        group.create_task(load.run(45))
    killed = killing.result()
    assert killed == dict.fromkeys(VICTIMS, 2)
    await drained(doomed)
    assert len(load.ledger.booked) > 100
    assert await verify(doomed, load) == []
