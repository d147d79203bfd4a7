"""A soak: members book, confirm and cancel for so long, at a steady rate, and nothing may grow but the data.

    python tests/chaos/soak.py --minutes 120 --members 24 --rest 1.0

Starts a platform of its own in a temporary folder. Every ten seconds it notes the memory of each process, the connections to
PostgreSQL, unsent events and consumer lag, and the disk space of the data. In the end, nothing may be lost, and the last third of the
run is compared with the third before. Prints a table, exits 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg
from makegood_stack.inspect import look
from makegood_stack.ports import SERVICES
from makegood_testkit.chaos import MixedLoad, drained, verify
from makegood_testkit.folders import temporary_folder
from makegood_testkit.footprint import memory, processes
from makegood_testkit.platform import Platform

EVERY = 10.0
"""Seconds between two looks."""
MEMORY_GROWTH = 0.05
"""Share by which the memory of a service may grow from one third to the next, besides `ALLOWANCE`."""
ALLOWANCE = 4.0
"""MiB."""
MOST_LAG = 2000
"""Events that may be on their way."""


@dataclass(frozen=True)
class Look:
    """What was there at one moment."""

    minute: float
    memory: dict[str, float]
    """MiB of each process, with its share of what several use."""
    connections: int
    lag: int
    unsent: int
    disk: int
    """MiB of databases and topics."""
    bookings: int


async def look_at(platform: Platform, load: MixedLoad, begun: float) -> Look:
    status = await look(platform.stack)
    connection = await asyncpg.connect(platform.stack.database_url("booking", "owner"))
    try:
        connections = await connection.fetchval(
            "SELECT sum(numbackends) FROM pg_stat_database WHERE datname LIKE 'makegood%'"
        )
    finally:
        await connection.close()
    return Look(
        minute=round((time.monotonic() - begun) / 60, 2),
        memory={name: round(one.proportional, 1) for name, one in memory(processes(platform)).items()},
        connections=int(connections) - 1,
        lag=sum(lag for lag in status.lag.values() if lag),
        unsent=sum(outbox.depth or 0 for outbox in status.outboxes),
        disk=sum(file.stat().st_size for file in _files(platform.home.state)) >> 20,
        bookings=len(load.ledger.booked),
    )


def _files(folder: Path) -> Sequence[Path]:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink() and "logs" not in path.parts:
                found.append(path)
        except OSError:
            continue
    return found


def grown(looks: Sequence[Look]) -> list[str]:
    """What was more in the last third than in the second, and what was never allowed."""
    third = len(looks) // 3
    if third < 3:
        return ["the run was too short to say whether anything grows"]
    before, after = looks[third : 2 * third], looks[2 * third :]
    found = []
    for name in SERVICES:
        was, now = (median(one.memory.get(name, 0.0) for one in part) for part in (before, after))
        if now > was * (1 + MEMORY_GROWTH) + ALLOWANCE:
            found.append(f"the memory of {name} grew from {was:.0f} to {now:.0f} MiB")
    was, now = (max(one.connections for one in part) for part in (before, after))
    if now > was + 4:
        found.append(f"connections grew from {was} to {now}")
    if (most := max(one.lag + one.unsent for one in looks)) > MOST_LAG:
        found.append(f"{most} events were on their way at once")
    return found


def table(looks: Sequence[Look]) -> str:
    """About ten rows of what was seen."""
    names = [*SERVICES, "kafka", "postgresql"]
    rows = ["| minute | bookings | " + " | ".join(names) + " MiB | connections | lag | unsent | disk MiB |"]
    rows.append("| --- " * (len(names) + 6) + "|")
    for one in looks[:: max(1, len(looks) // 10)]:
        sizes = " | ".join(f"{one.memory.get(name, 0.0):.0f}" for name in names)
        rows.append(
            f"| {one.minute:.1f} | {one.bookings} | {sizes} | {one.connections} | {one.lag} | {one.unsent} | {one.disk} |"
        )
    return "\n".join(rows)


async def run(minutes: float, members: int, rest: float, seed: int) -> int:
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        async with platform.running():
            load = await MixedLoad.prepare(platform, members=members, seed=seed)
            load.rest = rest
            begun = time.monotonic()
            loading = asyncio.create_task(load.run(minutes * 60))
            looks = []
            while not loading.done():
                await asyncio.wait({loading}, timeout=EVERY)
                looks.append(await look_at(platform, load, begun))
            await loading
            await drained(platform)
            wrong = [*grown(looks[:-1]), *(await verify(platform, load))]
    sys.stdout.write(table(looks) + "\n")
    sys.stdout.write(json.dumps({"answers": load.ledger.answers, "wrong": wrong}, indent=2) + "\n")
    return 1 if wrong else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--members", type=int, default=24)
    parser.add_argument("--rest", type=float, default=1.0, help="seconds between two bookings of a member, on average")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.minutes, options.members, options.rest, options.seed)))


if __name__ == "__main__":
    main()
