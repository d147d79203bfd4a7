"""Figures of a run: percentiles and processor time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which the share (0 to 1) of the values lies; NaN if there are no values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and maximum, in milliseconds."""
    return {
        name: round(percentile(seconds, share) * 1000, 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


@dataclass
class ProcessorTime:
    """Measures the processor time of processes, including children, between `start` and `stop`."""

    pids: Mapping[str, int]
    _before: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0

    def start(self) -> None:
        self._before = {name: _spent(pid) for name, pid in self.pids.items()}
        self._began = time.monotonic()

    def stop(self) -> dict[str, float]:
        """The average number of cores used by each process, the busiest first."""
        elapsed = time.monotonic() - self._began
        used = {name: (_spent(pid) - self._before.get(name, 0.0)) / elapsed for name, pid in self.pids.items()}
        return {name: round(cores, 2) for name, cores in sorted(used.items(), key=lambda pair: -pair[1])}


def _spent(pid: int) -> float:
    """User and system seconds of a process and its children; 0 if the process has exited."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    total = 0.0
    for member in family:
        try:
            times = member.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
