"""REL-8 at full length: every service is restarted 20 times with SIGTERM, one process after the other, under load.

    python tests/chaos/restarts.py [--times 20]

Starts a platform of its own in a temporary folder with two processes of each service, prints what it found, exits 1 if a
request failed, a stream missed something, a process took longer than 15 s, or more than a batch was delivered again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from makegood_testkit.chaos import drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.rolling import one_after_the_other, restart_under_load, wrong

SCALE = {"booking-serve": 2, "booking-work": 2, "availability": 2, "credits": 2, "notifications": 2}
"""Booking in two roles, the others with both in each process."""


async def run(times: int, members: int) -> int:
    with temporary_folder() as folder:
        platform = Platform.at(folder, scale=SCALE)
        async with platform.running():

            async def told(name: str) -> None:
                print(f"{name} restarted", file=sys.stderr, flush=True)  # noqa: T201

            findings = await restart_under_load(
                platform, one_after_the_other(platform, times), members=members, told=told
            )
            await drained(platform)
            found = [*wrong(findings, bookings=times * 4), *(await asyncio.to_thread(platform.audit))]
    sys.stdout.write(json.dumps({**vars(findings), "wrong": found}, indent=2) + "\n")
    return 1 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how often each service is restarted")
    parser.add_argument("--members", type=int, default=12, help="clients that use the platform meanwhile")
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.times, options.members)))


if __name__ == "__main__":
    main()
