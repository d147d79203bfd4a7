"""PERF-10: what a booking and a missed session cost, as counts, beside those of an earlier state.

    python benchmarks/costs.py                          # today's counts, as JSON
    python benchmarks/costs.py --before before.json     # a table with the earlier ones, made by the same command

Starts a platform on embedded servers and stops it again. Takes about a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from makegood_testkit.cost_scenarios import BOOKINGS, MISSED, booked_one_by_one, missed_together, warm_up
from makegood_testkit.costs import Meter
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform

Counts = dict[str, dict[str, dict[str, float]]]


async def measure(platform: Platform) -> Counts:
    """The counts of one missed session and of one booking."""
    async with platform.running():
        await warm_up(platform)
        async with Meter(platform) as meter:
            # The missed sessions first: the clock moves, and what was booked before would expire meanwhile.
            missed = (await missed_together(platform, meter)).per(MISSED)
            booked = (await booked_one_by_one(platform, meter)).per(BOOKINGS)
        return {"one booking": booked, "one of twenty missed sessions": missed}


def table(before: Counts, today: Counts) -> list[str]:
    """One line for each count, as Markdown."""
    lines = ["| work | count | before | today |", "| --- | --- | --- | --- |"]
    for work, counts in today.items():
        for name, values in counts.items():
            for key in sorted({*values, *before[work].get(name, {})}):
                old, new = before[work].get(name, {}).get(key, 0), values.get(key, 0)
                lines.append(f"| {work} | {name}: {key} | {old:g} | {new:g} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the JSON of an earlier state")
    options = parser.parse_args()
    with temporary_folder() as folder:
        today = asyncio.run(measure(Platform.at(folder)))
    if options.before is None:
        print(json.dumps(today, indent=1))
    else:
        print("\n".join(table(json.loads(options.before.read_text()), today)))


if __name__ == "__main__":
    main()
