"""The whole comparison in one run: counts, floors, peers and the platform, in turn on the same machine and the same servers.

    python benchmarks/run.py                         # three rounds, about twenty minutes; the machine must be idle
    python benchmarks/run.py --rounds 1 --quick      # does everything work? the figures mean little
    python benchmarks/run.py --save today.json       # the figures too, for `--previous` of a later release

First it installs what is missing (`tools.py`) and counts what a booking and a missed session cost (`costs.py`). Then each
round starts PostgreSQL, Kafka and the mail server, measures the floors and the peers on them, adds the rest of the platform,
and measures misses and bookings. Prints each round as JSON, and at the end one table of medians: previous release, today,
target. Stops everything that it started.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tools
from bookings import BookingLoad
from makegood_stack import kafka, postgres
from makegood_stack import up as starting
from makegood_testkit.chaos import drained
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from report import costs_figures, round_figures, table

HERE = Path(__file__).resolve().parent
SERVERS = frozenset({postgres.NAME, kafka.NAME, "mail"})


def note(text: str) -> None:
    """Progress, apart from the results."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def script(*words: str, python: str = sys.executable) -> dict[str, Any]:
    """The JSON that another benchmark prints. Raises RuntimeError with the end of its log if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run([python, *words], capture_output=True, text=True, check=False, cwd=HERE, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:2])} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return dict(json.loads(done.stdout[done.stdout.index("{") :]))


def misses(platform: Platform, options: argparse.Namespace, *words: str) -> dict[str, Any]:
    done = platform.command("load", "misses", "--sessions", str(options.misses), *words)
    if done.returncode:
        raise RuntimeError(f"makegood load misses ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def peers(platform: Platform, options: argparse.Namespace, missing: dict[str, str]) -> dict[str, Any]:
    """What each peer reaches at its best number of clients. A peer that fails is named with the reason, and left out."""
    found: dict[str, Any] = {}
    server = postgres.admin_url(platform.stack.ports.of("postgresql"))
    python = str(tools.PLACE / "venv" / "bin" / "python")
    for peer in tools.PEER_TOOLS:
        note(f"peer {peer}")
        if peer in missing:
            found[peer] = {"left_out": missing[peer]}
            continue
        words = ["-m", f"peers.{peer}_booking", "--server", server, "--kafka", str(platform.stack.kafka)]
        words += ["--tools", str(tools.PLACE), "--seconds", str(options.peer_seconds)]
        try:
            found[peer] = script(*words, python=python)
        except RuntimeError as error:
            found[peer] = {"left_out": str(error)}
    return found


def one_round(options: argparse.Namespace, missing: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with temporary_folder() as folder:
        platform = Platform.at(folder)
        try:
            starting.up(platform.home, platform.choices, platform.console, SERVERS)
            ports = platform.stack.ports
            server = ("--server", postgres.admin_url(ports.of("postgresql")))
            note("floors")
            found["floor"] = script("floor.py", *server, "--lanes", "4", "8")["best"]
            smtp = f"127.0.0.1:{ports.of('smtp')}"
            found["latency_floor"] = script(
                "latency_floor.py", *server, "--kafka", str(platform.stack.kafka), "--smtp", smtp
            )
            found["peers"] = peers(platform, options, missing)
            note("the platform")
            platform.up()
            if options.misses:  # first: what bookings leave behind would expire when the clock moves
                found["misses"] = misses(platform, options)
                found["misses_in_bursts"] = misses(platform, options, "--burst", "20")
            note("bookings")
            load = BookingLoad(platform, tools.PLACE / "bin" / "vegeta", folder)
            found["bookings"] = [load.measure(clients, options.seconds) for clients in options.clients]
            asyncio.run(drained(platform))
            found["audit"] = platform.audit()
        finally:
            platform.down()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of bookings, at each number of clients")
    parser.add_argument("--peer-seconds", type=float, default=6, help="the same for peers")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64, 256, 512])
    parser.add_argument("--misses", type=int, default=1_200, help="at 200 a second, in each of two shapes; 0: none")
    parser.add_argument("--no-costs", action="store_true", help="do not count what a booking and a missed session cost")
    parser.add_argument("--quick", action="store_true", help="two seconds each, and 200 misses")
    parser.add_argument("--previous", type=Path, default=HERE / "previous.json", help="what --save wrote for a release")
    parser.add_argument("--save", type=Path, help="write the medians and all rounds to this file")
    options = parser.parse_args()
    if options.quick:
        options.seconds = options.peer_seconds = 2
        options.misses = 200
    missing = tools.provide()
    note("counts")
    figures = {} if options.no_costs else costs_figures(script("costs.py"))
    rounds = []
    for number in range(options.rounds):
        rounds.append(one_round(options, missing))
        print(json.dumps({"round": number + 1, **rounds[-1]}, indent=1), flush=True)
    found = [round_figures(one) for one in rounds]
    for name in found[0]:
        values = [one[name] for one in found if name in one]
        figures[name] = statistics.median(values)
    previous = json.loads(options.previous.read_text())["figures"] if options.previous.exists() else {}
    if options.save:
        options.save.write_text(json.dumps({"figures": figures, "rounds": rounds}, indent=1) + "\n")
    print("\n".join(table(figures, previous)))


if __name__ == "__main__":
    main()
