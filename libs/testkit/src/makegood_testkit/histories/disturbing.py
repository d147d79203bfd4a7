"""Kills and pauses parts of a platform, in random order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal

import psutil

from makegood_testkit.platform import Platform

Disturbance = tuple[Literal["kill", "pause"], str]

PARTS: Final = ("booking", "availability", "credits", "notifications", "kafka", "postgresql")
EACH: Final[tuple[Disturbance, ...]] = tuple((how, part) for how in ("kill", "pause") for part in PARTS)
"""Every part, killed (SIGKILL) and started again, and paused (SIGSTOP)."""


async def disturb(
    platform: Platform,
    disturbances: Sequence[Disturbance],
    *,
    between: float,
    longest_pause: float = 9.0,
    seed: int = 0,
) -> Counter[str]:
    """Does all of it, with so many seconds between two. A service is paused for up to `longest_pause` seconds, so that its leases
    and its place in the consumer group may end meanwhile; a server, on which everybody waits, for up to a third of that."""
    chance = random.Random(seed)
    order = list(disturbances)
    chance.shuffle(order)
    done: Counter[str] = Counter()
    for how, part in order:
        await asyncio.sleep(between)
        done[f"{how} {part}"] += 1
        if how == "kill":
            os.kill(platform.pid(part), signal.SIGKILL)
            await asyncio.to_thread(platform.up)
        else:
            longest = longest_pause / (3 if part in ("kafka", "postgresql") else 1)
            await pause(platform.pid(part), chance.uniform(longest / 3, longest))
    return done


async def pause(pid: int, seconds: float) -> None:
    """Stops a process and its children, such as PostgreSQL's, for so long."""
    process = psutil.Process(pid)
    stopped: list[psutil.Process] = []
    try:
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.suspend()
                stopped.append(one)
        await asyncio.sleep(seconds)
    finally:
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.resume()
