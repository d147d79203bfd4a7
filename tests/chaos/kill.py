"""REL-1 and REL-6 at full length: `kill -9` of each service 20 times, PostgreSQL and Kafka 5 times each, under mixed load.

    python tests/chaos/kill.py --minutes 5 --services 20 --servers 5
    python tests/chaos/kill.py --rebalances 10

With `--rebalances`, the broker is killed so often while the partitions of credits and availability move between two processes.
Starts a platform of its own in a temporary folder, compares the topics with what was committed, prints what it found, exits 1 if
anything does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from makegood_testkit.chaos import MixedLoad, drained, kill_broker_while_rebalancing, kill_in_turn, verify
from makegood_testkit.committed import CommittedEvents
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform

SERVICES = ("booking", "availability", "credits", "notifications")
SERVERS = ("kafka", "postgresql")


TWO_OF_EACH = {"availability": 2, "credits": 2}
MOVED = ("credits-2", "availability-1", "credits-1", "availability-2")


async def run(minutes: float, services: int, servers: int, rebalances: int, seed: int) -> int:
    victims = SERVICES * services + SERVERS * servers
    moved = [MOVED[number % len(MOVED)] for number in range(rebalances)]
    seconds = minutes * 60
    with temporary_folder() as folder:
        platform = Platform.at(folder, scale=TWO_OF_EACH if rebalances else {})
        async with platform.running():
            noted = await CommittedEvents.noting(platform)
            load = await MixedLoad.prepare(platform, seed=seed)
            loading = asyncio.create_task(load.run(86_400 if rebalances else seconds))
            if rebalances:
                killed = await kill_broker_while_rebalancing(platform, moved, pause=4, seed=seed)
                load.stop()
            else:
                killed = await kill_in_turn(platform, victims, pause=max(0.2, seconds / len(victims) - 2), seed=seed)
            await loading
            await drained(platform)
            topics = await noted.compare()
            wrong = [*(await verify(platform, load)), *topics.wrong()]
    summary = {
        "killed": killed,
        "bookings": len(load.ledger.booked),
        "answers": load.ledger.answers,
        "topics": str(topics),
        "wrong": wrong,
    }
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    return 1 if wrong else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--services", type=int, default=20, help="how often each service is killed")
    parser.add_argument("--servers", type=int, default=5, help="how often Kafka and PostgreSQL are killed")
    parser.add_argument("--rebalances", type=int, default=0, help="kill Kafka so often in a rebalance, instead")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.minutes, options.services, options.servers, options.rebalances, options.seed)))


if __name__ == "__main__":
    main()
