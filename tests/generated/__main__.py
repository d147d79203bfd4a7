"""The long form of SEC-4: `python -m tests.generated` asks as everybody, on a platform of its own, and prints a table.

`--examples` is how many random requests each operation gets, and how many scenarios are played, for each kind of person. The reports stay in
`.makegood/generated/reports`. Ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from makegood_testkit.platform import Platform

from .runs import PLACE, everybody


async def main(examples: int, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="makegood-generated-") as folder:
        async with Platform.at(Path(folder)).running() as platform:
            outcomes = await everybody(platform, PLACE / "reports", examples=examples, seed=seed)
            violations = await asyncio.to_thread(platform.audit)
    sys.stdout.write(
        "| person | requests | operations | with success | statuses | |\n| --- | --- | --- | --- | --- | --- |\n"
    )
    for actor, outcome in outcomes.items():
        succeeded = {name for (name, status) in outcome.answers if 200 <= status < 300}
        statuses = ", ".join(f"{count} × {status}" for status, count in outcome.statuses.items())
        sys.stdout.write(
            f"| {actor} | {outcome.requests} | {len(outcome.operations)} | {len(succeeded)} | {statuses} "
            f"| {'failures: ' + str(PLACE / 'reports' / actor) if outcome.failed else 'no failure'} |\n"
        )
    sys.stdout.write(f"audit: {violations or 'clean'}\n")
    return 1 if violations or any(outcome.failed for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.generated")
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(asyncio.run(main(**vars(parser.parse_args()))))
