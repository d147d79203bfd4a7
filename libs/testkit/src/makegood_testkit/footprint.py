"""What the running processes of a platform use: memory, and processor time over a while."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psutil
from makegood_stack.processes import Supervisor

from makegood_testkit.platform import Platform

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process and its children, in MiB."""

    resident: float
    """With what it shares with others."""
    proportional: float
    """With its share of what several processes use."""
    own: float
    """What would be free if it ended."""


def processes(platform: Platform) -> dict[str, int]:
    """The ids of the platform's processes, by name."""
    return {name: record.pid for name, record in Supervisor(platform.home).running().items()}


def memory(pids: Mapping[str, int]) -> dict[str, Memory]:
    """The memory of each process now."""
    found = {}
    for name, pid in pids.items():
        parts = [process.memory_full_info() for process in _family(pid)]
        sums = (sum(getattr(part, kind) for part in parts) / _MIB for kind in ("rss", "pss", "uss"))
        found[name] = Memory(*sums)
    return found


def processor(pids: Mapping[str, int], seconds: float) -> dict[str, float]:
    """The share of a core that each process takes over so many seconds. Children that end meanwhile are not counted."""
    before = {name: _processor_time(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    return {
        name: sum(used - before[name].get(part, 0.0) for part, used in _processor_time(pid).items()) / seconds
        for name, pid in pids.items()
    }


def _processor_time(pid: int) -> dict[int, float]:
    times = {process.pid: process.cpu_times() for process in _family(pid)}
    return {part: used.user + used.system for part, used in times.items()}


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
