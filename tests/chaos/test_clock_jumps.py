"""The clock of one process jumps five minutes ahead and back, or is wrong from the start. Nothing is lost, refused or done
twice (REL-9)."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import psutil
import pytest
from makegood_contracts.topics import TOPICS
from makegood_stack.topic_state import partition_ends
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.suffering import Traffic, lost, suffer

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Debian's package libfaketime."""
JUMP = 300
"""Seconds, more than events and tokens may be early or late."""


class MovableClock:
    """The clock of one process. Monotonic clocks never jump."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.log = folder / "movable.log"

    def jump(self, seconds: int) -> None:
        self._file.write_text(f"{seconds:+}\n")

    @contextmanager
    def of(self, platform: Platform, service: str) -> Iterator[None]:
        """Replaces the service's process by one that has this clock."""
        process = psutil.Process(platform.pid(service))
        command, folder = process.cmdline(), process.cwd()
        environment = process.environ() | {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        with self.log.open("wb") as log:
            mine = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
            try:
                yield
            finally:
                mine.send_signal(signal.SIGTERM)
                mine.wait(20)


async def dead_letters(platform: Platform) -> int:
    """How many events were given up."""
    names = [topic.name for topic in TOPICS if "dead-letters" in topic.name]
    assert names
    ends = [await partition_ends(platform.stack.kafka, name) or {} for name in names]
    return sum(end for partitions in ends for _, end in partitions.values())


@pytest.mark.extended
@pytest.mark.rule("REL-9")
@pytest.mark.skipif(not LIBRARY.exists(), reason="libfaketime is not installed")
async def test_a_clock_that_jumps_loses_nothing() -> None:
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        clock = MovableClock(folder)
        async with platform.running():
            traffic = await Traffic.prepare(platform)
            for service, wrong in (("booking", 0), ("credits", JUMP)):
                clock.jump(wrong)
                with clock.of(platform, service):
                    for jump in (JUMP, -JUMP):
                        outcome = await suffer(
                            platform, traffic, partial(clock.jump, jump), partial(clock.jump, 0), seconds=8
                        )
                        told = json.dumps(asdict(outcome), indent=1)
                        assert {status for each in outcome.answers.values() for status in each} <= {200, 201, 202}, told
                        assert not any(outcome.not_ready.values()), told
                        assert outcome.dead == [], told
                        assert outcome.slowest_alive < 3 * outcome.stretch, told
                assert ("clock differed" in clock.log.read_text()) is bool(wrong)
                await asyncio.to_thread(platform.up)
            assert await lost(platform, traffic) == []
            assert await dead_letters(platform) == 0
