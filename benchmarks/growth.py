"""PERF-9: bookings per second and their latency on a platform with a long past, beside one with none.

    python benchmarks/growth.py [--rows 10000000] [--rounds 3] [--seconds 15]

PostgreSQL writes the past: sessions, holds, ledger entries, deliveries, inboxes and what belongs to them, `--rows` of them in
all. In each round a fresh platform and the one with the past take turns; each is loaded by one client, then by many. Prints each
round and the medians as JSON, with the ratios. Starts everything it needs and stops it again. Ten million rows take about
five minutes and ten gigabytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from makegood_testkit.chaos import drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.history import write_history
from makegood_testkit.platform import Platform

Figures = dict[str, float]


@contextmanager
def running(folder: Path) -> Iterator[Platform]:
    """The platform in this folder, started and stopped again; what it stored stays."""
    platform = Platform.at(folder)
    platform.up()
    try:
        yield platform
    finally:
        platform.down()


def measure(platform: Platform, options: argparse.Namespace) -> Figures:
    """Bookings per second and the median latency in milliseconds, with one client and with many."""
    found: Figures = {}
    for name, clients in (("one_client", 1), ("many_clients", options.concurrency)):
        words = ("bookings", "--concurrency", str(clients), "--seconds", str(options.seconds))
        done = platform.command("load", *words)
        if done.returncode:
            raise SystemExit(f"makegood load {' '.join(words)} failed:\n{done.stderr[-2000:]}")
        run: dict[str, Any] = json.loads(done.stdout)
        found[f"{name}_per_second"] = run["bookings_per_second"]
        found[f"{name}_p50_ms"] = run["latency_ms"]["p50"]
    asyncio.run(drained(platform))
    return found


def ratios(empty: Figures, grown: Figures) -> Figures:
    """How good the platform with a past is: rates as grown ÷ empty, latencies as empty ÷ grown."""
    return {
        name: round(grown[name] / empty[name] if name.endswith("per_second") else empty[name] / grown[name], 3)
        for name in empty
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the past, in all tables together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    found: list[Figures] = []
    with temporary_folder() as folder:
        with running(folder / "grown") as platform:
            bookings = asyncio.run(write_history(platform.stack.database_url, options.rows))
        for number in range(1, options.rounds + 1):
            with running(folder / f"empty-{number}") as platform:
                empty = measure(platform, options)
            with running(folder / "grown") as platform:
                grown = measure(platform, options)
            found.append(ratios(empty, grown))
            print(json.dumps({"round": number, "empty": empty, "grown": grown, "ratios": found[-1]}), flush=True)
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    print(json.dumps({"rows": options.rows, "bookings_of_the_past": bookings, "rounds": len(found), "median": medians}))


if __name__ == "__main__":
    main()
