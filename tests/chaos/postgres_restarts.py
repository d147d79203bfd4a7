"""PostgreSQL restarts every 5 to 40 s, in turn by SIGINT and by SIGKILL, until so many sessions are booked.

    python tests/chaos/postgres_restarts.py --bookings 5000

Starts a platform of its own in a temporary folder, prints what it found, exits 1 if something was lost, done twice or stranded.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from functools import partial

from makegood_stack.processes import identity
from makegood_testkit.chaos import MixedLoad, drained, verify
from makegood_testkit.committed import CommittedEvents
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.waiting import eventually


async def restart_until(platform: Platform, load: MixedLoad, bookings: int, shortest: float, longest: float) -> int:
    """Returns how often PostgreSQL was restarted."""
    chance = random.Random(load.seed)
    for restarts, how in enumerate(itertools.cycle((signal.SIGINT, signal.SIGKILL))):
        end = time.monotonic() + chance.uniform(shortest, longest)
        while time.monotonic() < end and len(load.ledger.booked) < bookings:  # noqa: ASYNC110 (the load tells nobody)
            await asyncio.sleep(0.2)
        if len(load.ledger.booked) >= bookings:
            return restarts
        pid = platform.pid("postgresql")
        os.kill(pid, how)
        await eventually(partial(_ended, pid), seconds=60, what="the end of PostgreSQL")
        await asyncio.to_thread(platform.up)
        sys.stderr.write(f"{restarts + 1} restarts, {len(load.ledger.booked)} bookings\n")
    raise AssertionError


def _ended(pid: int) -> bool:
    return identity(pid) is None


async def run(bookings: int, shortest: float, longest: float, seed: int) -> int:
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        async with platform.running():
            noted = await CommittedEvents.noting(platform)
            load = await MixedLoad.prepare(platform, seed=seed)
            loading = asyncio.create_task(load.run(86_400))
            begun = time.monotonic()
            try:
                restarts = await restart_until(platform, load, bookings, shortest, longest)
            finally:
                load.stop()
                await loading
            seconds = round(time.monotonic() - begun)
            await drained(platform)
            topics = await noted.compare()
            wrong = [*(await verify(platform, load)), *topics.wrong()]
    summary = {
        "restarts": restarts,
        "seconds": seconds,
        "bookings": len(load.ledger.booked),
        "answers": load.ledger.answers,
        "topics": str(topics),
        "wrong": wrong,
    }
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    return 1 if wrong else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bookings", type=int, default=5000)
    parser.add_argument("--shortest", type=float, default=5, help="seconds between two restarts, at least")
    parser.add_argument("--longest", type=float, default=40, help="and at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.bookings, options.shortest, options.longest, options.seed)))


if __name__ == "__main__":
    main()
