"""PERF-7: how much faster two consuming processes on two cores drain a backlog than one on one core.

The credits service's workers find a backlog of `SessionRequested` (each takes a credit) and then one of `ProviderMissed` (each
returns it). Each worker is pinned to a core of its own. With `--servers free` PostgreSQL and Kafka use both cores all the time, so
with two workers they share them. With `--servers pinned` everything is on one core in the first run and on two in the second, which
is what a machine of twice the size does.

    python benchmarks/scaling.py [--sessions 100000] [--rounds 3] [--servers pinned|free]

A window opens when each worker has handled something, and closes when a twentieth is left; only what is handled in it counts.
Servers: the embedded ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import httpx
import psutil
import uvloop
from backlog import SESSIONS_OF_A_MEMBER, Scratch, count, credits_service, enrol, missed, move_clock, produce, requested
from makegood_chassis import metrics
from makegood_contracts.ids import new_id
from makegood_testkit.servers import servers

_CONSUMED: Final = f"{next(iter(metrics.CONSUMED.describe())).name}_total"
_LOOK_EVERY: Final = 0.05


def pin(processes: Iterable[psutil.Process], cores: list[int]) -> None:
    """Pins the processes with all their threads and children."""
    for process in processes:
        with suppress(psutil.Error, OSError):
            for one in (process, *process.children(recursive=True)):
                for thread in Path(f"/proc/{one.pid}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), cores)


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            for one in (process, *process.children(recursive=True)):
                times = one.cpu_times()
                total += times.user + times.system
    return total


async def handled(probes: str) -> float:
    """Events that the worker has consumed."""
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{probes}/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(_CONSUMED))


async def drain(
    url: str, state: str, environment: dict[str, str], workers: int, total: int, pinned: bool
) -> dict[str, float]:
    """Starts the workers on a full topic. Events a second in the window, and the workers' processor time per event."""
    cores = list(range(workers))
    mine = psutil.Process()
    before = mine.children()
    pin(before, cores if pinned else list(range(psutil.cpu_count() or 1)))
    async with AsyncExitStack() as stack:
        starting = (credits_service(environment, "work", probing=True) for _ in cores)
        probes = await asyncio.gather(*map(stack.enter_async_context, starting))
        running = [child for child in mine.children() if child not in before]
        for core, process in enumerate(running):
            pin([process], [core])
        for each in probes:
            while not await handled(each):
                await asyncio.sleep(_LOOK_EVERY)
        already, used, began = await count(url, state), cpu_seconds(running), time.monotonic()
        while (now := await count(url, state)) < total * 0.95:
            await asyncio.sleep(_LOOK_EVERY)
        seconds, used = time.monotonic() - began, cpu_seconds(running) - used
        while await count(url, state) < total:
            await asyncio.sleep(_LOOK_EVERY)
    return {"per_second": (now - already) / seconds, "worker_us": used * 1e6 / max(1, now - already)}


async def measure(
    kafka: str, postgres: str, sessions: int, workers: int, pinned: bool, folder: Path
) -> dict[str, float]:
    scratch = await Scratch.make(kafka, postgres, folder)
    url, prefix, identity, environment = scratch.url, scratch.prefix, scratch.identity, scratch.environment
    async with credits_service(environment, "all") as base:
        members = await enrol(base, identity, -(-sessions // SESSIONS_OF_A_MEMBER))
    pairs = [(new_id(), members[number % len(members)]) for number in range(sessions)]
    await produce(kafka, prefix, [requested(*pair) for pair in pairs])
    held = await drain(url, "held", environment, workers, sessions, pinned)
    async with credits_service(environment, "all") as base:
        await move_clock(base, identity)
    await produce(kafka, prefix, [missed(*pair) for pair in pairs])
    returned = await drain(url, "returned", environment, workers, sessions, pinned)
    await scratch.databases.drop(url)
    return {
        f"{name} {key}": value for name, part in (("held", held), ("returned", returned)) for key, value in part.items()
    }


async def compare(options: argparse.Namespace, kafka: str, postgres: str) -> None:
    rounds: list[dict[str, float]] = []
    told: dict[str, float]
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found = {
                workers: await measure(
                    kafka, postgres, options.sessions, workers, options.servers == "pinned", Path(folder)
                )
                for workers in (1, 2)
            }
        told = {
            f"{key}, {workers} on {workers}": round(value)
            for workers, part in found.items()
            for key, value in part.items()
        }
        for kind in ("held", "returned"):
            told[f"{kind} ratio"] = round(found[2][f"{kind} per_second"] / found[1][f"{kind} per_second"], 2)
        print(json.dumps({"round": number + 1, **told}), flush=True)
        rounds.append(told)
    medians = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    print(json.dumps({"medians": medians, "servers": options.servers, "sessions": options.sessions}, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", choices=("pinned", "free"), default="pinned")
    options = parser.parse_args()
    with servers("embedded") as shared:
        uvloop.run(compare(options, shared.kafka(), shared.postgres()))


if __name__ == "__main__":
    main()
