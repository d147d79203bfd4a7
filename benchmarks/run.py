"""PERF-1, 2 and 3 in one run: the platform, the PostgreSQL floor and DBOS in turn, on the same machine and the same server.

    python benchmarks/run.py --rounds 3

Each round starts PostgreSQL alone and measures the floor and DBOS, then starts the whole platform (gateway, four services, Kafka,
Redis, mail) and measures bookings through the gateway at each concurrency, and misses at 200 a second, one by one and twenty at a
time. Prints each round and the
medians, with the ratios, as JSON. Takes about three minutes a round and stops everything it started.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from makegood_stack import postgres
from makegood_stack import up as starting
from makegood_testkit.chaos import drained
from makegood_testkit.platform import Platform

HERE = Path(__file__).parent


def script(name: str, *words: str) -> dict[str, Any]:
    """The JSON that another benchmark prints."""
    command = [sys.executable, str(HERE / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout[done.stdout.index("{") :]))


def load(platform: Platform, *words: str) -> dict[str, Any]:
    done = platform.command("load", *words)
    if done.returncode:
        raise SystemExit(f"makegood load {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def one_round(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform.at(Path(folder))
        try:
            starting.up(platform.home, platform.choices, platform.console, frozenset({postgres.NAME}))
            server = postgres.admin_url(platform.stack.ports.of("postgresql"))
            found["floor"] = script("floor.py", "--server", server)["best"]
            found["dbos"] = script("peer_dbos.py", "--server", server, "--seconds", "8")
            platform.up()
            if options.misses:  # first: what bookings leave behind would expire when the clock moves
                sessions = ("--sessions", str(options.misses))
                found["misses"] = load(platform, "misses", *sessions)
                found["misses_in_bursts"] = load(platform, "misses", *sessions, "--burst", "20")
            runs = [
                load(platform, "bookings", "--concurrency", str(clients), "--seconds", str(options.seconds))
                for clients in options.concurrency
            ]
            found["bookings"] = runs
            asyncio.run(drained(platform))
            found["audit"] = platform.audit()
        finally:
            platform.down()
    best = max(run["bookings_per_second"] for run in found["bookings"])
    found["ratios"] = {
        "bookings_per_second": best,
        "to_dbos": round(best / found["dbos"]["best"], 2),
        "to_floor": round(best / found["floor"], 3),
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument(
        "--misses", type=int, default=2_000, help="sessions missed at 200 a second, in each shape; 0: none"
    )
    options = parser.parse_args()
    rounds = []
    for number in range(options.rounds):
        rounds.append(one_round(options))
        print(json.dumps({"round": number + 1, **rounds[-1]}, indent=1), flush=True)
    medians = {
        name: statistics.median(found["ratios"][name] for found in rounds)
        for name in ("bookings_per_second", "to_dbos", "to_floor")
    }
    print(json.dumps({"medians": medians}))


if __name__ == "__main__":
    main()
