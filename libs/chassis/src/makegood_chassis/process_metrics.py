"""What a process uses, read when Prometheus asks for it: processor, memory, files, and the pools of its databases."""

from __future__ import annotations

import gc
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from makegood_chassis.metrics import Reading, read_when_asked

if TYPE_CHECKING:
    from makegood_chassis.connections import Connections

POOLS: Final[WeakSet[Connections]] = WeakSet()
"""The pools that are open in this process."""
_STARTED: Final = time.monotonic()
_PAGE: Final = resource.getpagesize()
_PROC: Final = Path("/proc/self")
"""Only Linux has it. Without it, or without a free file descriptor, what it tells is left out, and all other metrics are served."""


def _cpu() -> Iterator[Reading]:
    used = os.times()
    yield ("user",), used.user
    yield ("system",), used.system


def _pages(place: int) -> Callable[[], Iterator[Reading]]:
    def read() -> Iterator[Reading]:
        with suppress(OSError):
            yield (), int((_PROC / "statm").read_text().split()[place]) * _PAGE

    return read


def _files() -> Iterator[Reading]:
    with suppress(OSError):
        yield (), len(list((_PROC / "fd").iterdir()))


def _collections() -> Iterator[Reading]:
    for generation, stats in enumerate(gc.get_stats()):
        yield (str(generation),), stats["collections"]


def _by_pool(measure: Callable[[Connections], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for pool in POOLS:
        found[pool.name] = found.get(pool.name, 0) + measure(pool)
    return found


def _pools(measure: Callable[[Connections], int]) -> Callable[[], Iterator[Reading]]:
    def read() -> Iterator[Reading]:
        for name, value in _by_pool(measure).items():
            yield (name,), value

    return read


def _connections() -> Iterator[Reading]:
    for state, measure in _STATES.items():
        for name, value in _by_pool(measure).items():
            yield (name, state), value


_STATES: Final[dict[str, Callable[[Connections], int]]] = {
    "used": lambda pool: pool.in_use,
    "idle": lambda pool: pool.idle,
}
_POOL: Final = "db_client_connection_pool_name"

read_when_asked(
    "process_cpu_time_seconds_total", "counter", "seconds", "Processor time of the process.", "cpu_mode", read=_cpu
)
read_when_asked("process_memory_usage_bytes", "gauge", "bytes", "Memory of the process that is in RAM.", read=_pages(1))
read_when_asked(
    "process_memory_virtual_bytes", "gauge", "bytes", "Memory that the process has reserved.", read=_pages(0)
)
read_when_asked("process_unix_file_descriptor_count", "gauge", "files", "Open files and connections.", read=_files)
read_when_asked(
    "process_thread_count", "gauge", "threads", "Threads of Python.", read=lambda: [((), threading.active_count())]
)
read_when_asked(
    "process_uptime_seconds",
    "gauge",
    "seconds",
    "How long the process has run.",
    read=lambda: [((), time.monotonic() - _STARTED)],
)
read_when_asked(
    "cpython_gc_collections_total",
    "counter",
    "collections",
    "Runs of the garbage collector.",
    "cpython_gc_generation",
    read=_collections,
)
read_when_asked(
    "db_client_connection_count",
    "gauge",
    "connections",
    "Connections to PostgreSQL, by pool and state.",
    _POOL,
    "db_client_connection_state",
    read=_connections,
)
read_when_asked(
    "db_client_connection_max",
    "gauge",
    "connections",
    "Most connections of a pool.",
    _POOL,
    read=_pools(lambda pool: pool.most),
)
read_when_asked(
    "db_client_connection_pending_requests",
    "gauge",
    "requests",
    "How many wait for a connection of a pool.",
    _POOL,
    read=_pools(lambda pool: pool.pending),
)
