"""REL-9 at full length: each dependency slow, silent, reset and gone for 30 s, under traffic.

    python tests/chaos/faults.py --seconds 30 --only postgresql kafka

Starts a platform of its own in a temporary folder, prints a table, exits 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict
from functools import partial

from makegood_testkit.fault_proxy import FAULTS
from makegood_testkit.faulty import DEPENDENCIES, FaultyPlatform, faulty_platform
from makegood_testkit.folders import temporary_folder
from makegood_testkit.suffering import Outcome, Traffic, lost, suffer


def row(dependency: str, fault: str, outcome: Outcome) -> str:
    """A line of the table."""
    longest = max(outcome.longest.values())
    counts: dict[int, int] = {}
    for found in outcome.answers.values():
        for status, count in found.items():
            counts[status] = counts.get(status, 0) + count
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))
    told = [seconds for seconds in outcome.not_ready.values() if seconds is not None]
    unready = f"{max(told):.1f} s ({len(told)})" if told else "stays ready"
    again = [*outcome.ready_again.values(), *outcome.served_again.values()]
    recovery = "never" if None in again else f"{max(one for one in again if one is not None):.1f} s"
    return f"| {dependency} | {fault} | {longest:.1f} s | {answers} | {unready} | {recovery} |\n"


async def run(faulty: FaultyPlatform, options: argparse.Namespace) -> list[str]:
    traffic = await Traffic.prepare(faulty.platform)
    for dependency in options.only:
        for fault in options.faults:
            begin = partial(faulty.begin, [dependency], fault)
            outcome = await suffer(faulty.platform, traffic, begin, faulty.heal, seconds=options.seconds)
            sys.stdout.write(row(dependency, fault, outcome))
            sys.stderr.write(json.dumps({"dependency": dependency, "fault": fault, **asdict(outcome)}) + "\n")
            sys.stdout.flush()
    wrong = await lost(faulty.platform, traffic)
    sys.stdout.write(f"\n{len(traffic.accepted)} bookings accepted. Lost or wrong: {wrong or 'nothing'}\n")
    await faulty.platform.close()
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", nargs="*", choices=DEPENDENCIES, default=DEPENDENCIES)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the platform
    sys.stdout.write("| dependency | fault | longest request | answers | not ready after | all well after |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")
    with temporary_folder() as folder, faulty_platform(folder) as faulty:
        sys.exit(1 if asyncio.run(run(faulty, options)) else 0)


if __name__ == "__main__":
    main()
