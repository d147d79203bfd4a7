"""The development clock moves while a service is dead, and the service has the right time when it comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from makegood_testkit.platform import Platform


@pytest_asyncio.fixture
async def wounded(tmp_path: Path, kafka_servers: str, redis_url: str) -> AsyncIterator[Platform]:
    """A platform whose services may die."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_servers,
        "REDIS_URL": redis_url,
        "KAFKA_TOPIC_PREFIX": "clock.",
    }
    platform = Platform.at(tmp_path, environment)
    async with platform.running():
        yield platform


@pytest.mark.slow
async def test_the_clock_moves_while_services_are_dead_and_they_come_back_in_time(wounded: Platform) -> None:
    before = await wounded.now()
    for victim in ("booking", "credits"):
        os.kill(wounded.pid(victim), signal.SIGKILL)
    moved = await asyncio.to_thread(wounded.command, "clock", "advance", "48h")
    assert moved.returncode == 0, moved.stderr
    assert datetime.fromisoformat(moved.stdout.strip()) >= before + timedelta(hours=48)
    told = await asyncio.to_thread(wounded.command, "clock", "now")
    assert datetime.fromisoformat(told.stdout.strip()) >= before + timedelta(hours=48)
    await asyncio.to_thread(wounded.up)
    await wounded.settle()
    clocks = await wounded.clock.now()
    offsets = {service: clock["offset_seconds"] for service, clock in clocks.items()}
    assert len(set(offsets.values())) == 1, offsets
    assert not any("down" in clock for clock in clocks.values())
