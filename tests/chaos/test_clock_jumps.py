"""The clock of one process jumps five minutes ahead or back, and returns. Nothing is lost or done twice (REL-9)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.suffering import Traffic, lost, suffer

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Debian's package libfaketime."""


@contextmanager
def movable(platform: Platform, service: str, offset: Path) -> Iterator[None]:
    """The service's process with a clock that is as many seconds off as the file says. Monotonic clocks never jump."""
    process = psutil.Process(platform.pid(service))
    environment, command, folder = process.environ(), process.cmdline(), process.cwd()
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    offset.write_text("+0s\n")
    environment |= {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with (offset.parent / "log").open("wb") as log:
        mine = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            yield
        finally:
            mine.send_signal(signal.SIGTERM)
            mine.wait(20)


@pytest.mark.extended
@pytest.mark.rule("REL-9")
@pytest.mark.skipif(not LIBRARY.exists(), reason="libfaketime is not installed")
async def test_a_clock_that_jumps_loses_nothing() -> None:
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        offset = folder / "offset"
        try:
            await asyncio.to_thread(platform.up)
            traffic = await Traffic.prepare(platform)
            for service in os.environ.get("SERVICES", "booking credits").split():
                with movable(platform, service, offset):
                    for jump in ("+300s", "-300s"):
                        outcome = await suffer(
                            platform,
                            traffic,
                            lambda: offset.write_text(f"{jump}\n"),
                            lambda: offset.write_text("+0s\n"),
                            seconds=12,
                        )
                        print(service, jump, json.dumps(asdict(outcome), indent=1))
                print((folder / "log").read_text()[-3000:])
                await asyncio.to_thread(platform.up)
            assert await lost(platform, traffic) == []
        finally:
            await platform.close()
            await asyncio.to_thread(platform.down)
