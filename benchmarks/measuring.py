"""How every contender is measured: clients in a closed loop, and what is booked while the clock runs.

A run begins with a warm-up. Then a window opens; whatever is booked in it counts, and what was under way when it opened or
closed counts where it ended. So neither the start nor the end of a run makes anybody look slower. Needs nothing but the
standard library, since the peers have an environment of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WARM_UP = 2.0
"""Seconds before the window opens."""

Numbers = dict[str, float]


def machine_seconds() -> float:
    """Processor seconds that the whole machine has been busy since its start."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts = map(int, fields[:7])
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


class Instructions:
    """Counts the instructions that the whole machine retires, where its processor and `perf` offer that."""

    def __init__(self) -> None:
        self._perf: subprocess.Popen[str] | None = None

    def start(self) -> None:
        if perf := shutil.which("perf"):
            command = [perf, "stat", "--all-cpus", "--field-separator=,", "--event=instructions"]
            self._perf = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def stop(self) -> int | None:
        if self._perf is None:
            return None
        self._perf.send_signal(signal.SIGINT)
        counted = self._perf.communicate()[1].partition(",")[0]
        return int(counted) if counted.isdigit() else None


@dataclass
class Window:
    """The time in which bookings count, and what the machine did in it."""

    opened: float = 0.0
    closed: float = 0.0
    _busy: float = 0.0
    _counter: Instructions = field(default_factory=Instructions)
    _instructions: int | None = None

    def open(self) -> None:
        self._counter.start()
        self._busy, self.opened = machine_seconds(), time.time()

    def close(self) -> None:
        self._busy, self.closed = machine_seconds() - self._busy, time.time()
        self._instructions = self._counter.stop()

    def figures(self, bookings: Iterable[tuple[float, float]]) -> Numbers:
        """The figures of bookings, given as their begin and end in seconds since 1970. Costs are those of the whole machine."""
        latencies = sorted(end - begin for begin, end in bookings if self.opened <= end < self.closed)
        figures = {
            "per_second": round(len(latencies) / (self.closed - self.opened), 1),
            "p50_ms": round(statistics.median(latencies) * 1000, 1),
            "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
            "machine_ms": round(self._busy * 1000 / len(latencies), 2),
        }
        if self._instructions is not None:
            figures["million_instructions"] = round(self._instructions / 1e6 / len(latencies), 3)
        return figures


async def closed_loop(
    book: Callable[[int], Awaitable[object]], *, clients: int, seconds: float, first: int
) -> tuple[Numbers, int]:
    """Measures `book(number)` with clients that each book again once their last booking is done.

    Returns the figures, and the first number that was not used.
    """
    window, ended = Window(), asyncio.Event()
    bookings: list[tuple[float, float]] = []
    number = first

    async def client() -> None:
        nonlocal number
        while not ended.is_set():
            mine, number = number, number + 1
            begin = time.time()
            await book(mine)
            bookings.append((begin, time.time()))

    async def watch() -> None:
        await asyncio.sleep(WARM_UP)
        window.open()
        await asyncio.sleep(seconds)
        window.close()
        ended.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        for _ in range(clients):
            group.create_task(client())
    return window.figures(bookings), number


@dataclass(frozen=True)
class PeerOptions:
    """What every peer is started with."""

    server: str
    kafka: str
    tools: Path
    clients: list[int]
    seconds: float


def peer_main(document: str | None, measure: Callable[[PeerOptions], dict[int, Numbers]], clients: list[int]) -> None:
    """The command line of a peer: measures at each number of clients, and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="PostgreSQL with the right to create databases")
    parser.add_argument("--kafka", default="", help="Kafka's bootstrap address, for peers that use it")
    parser.add_argument("--tools", type=Path, default=Path(), help="the folder that tools.py has filled")
    parser.add_argument("--clients", type=int, nargs="+", default=clients)
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    results = measure(PeerOptions(options.server, options.kafka, options.tools, options.clients, options.seconds))
    print(json.dumps(outcome(results)))


def outcome(results: dict[int, Numbers]) -> dict[str, Any]:
    """The figures by number of clients, and those of the best number."""
    best = max(results, key=lambda clients: results[clients]["per_second"])
    return {"by_clients": results, "clients": best, **results[best]}
