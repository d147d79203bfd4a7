"""What a platform costs that has nothing to do: memory and processor by process, and how long its start takes.

    python benchmarks/idle.py                       # watches it for 30 seconds
    python benchmarks/idle.py --seconds 60 --json   # the figures as JSON

Starts a platform on embedded servers, with one process a service, and stops it again.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import time
from dataclasses import asdict
from typing import Any

from makegood_stack.ports import SERVICES
from makegood_testkit.folders import temporary_folder
from makegood_testkit.footprint import memory, processes, processor
from makegood_testkit.platform import Platform
from rich.console import Console

_SERVERS = ("kafka", "postgresql", "redis", "mail")
_READY = re.compile(r"^\s*(\S+)\s+ready after\s+([0-9.]+) s", re.MULTILINE)
_SETTLES = 10.0
"""Seconds after the start that are not measured: consumers join their groups, caches fill."""


def measure(platform: Platform, seconds: float) -> dict[str, Any]:
    """All figures by process."""
    told = io.StringIO()
    platform.console = Console(file=told, width=200)
    platform.up()
    try:
        time.sleep(_SETTLES)
        pids = processes(platform)
        used = processor(pids, seconds)
        needs = {name: asdict(one) for name, one in memory(pids).items()}
    finally:
        platform.down()
    ready = {name: float(after) for name, after in _READY.findall(told.getvalue())}
    return {"processor": used, "memory": needs, "ready": ready, "start": _start(ready)}


def _start(ready: dict[str, float]) -> float:
    """Seconds from the last server's readiness to the last service's."""
    return max(ready[name] for name in SERVICES) - max(ready[name] for name in _SERVERS)


def table(figures: dict[str, Any]) -> list[str]:
    """One line for each process, as Markdown."""
    lines = [
        "| process | processor, share of a core | own memory, MiB | proportional | resident | ready after, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, share in sorted(figures["processor"].items(), key=lambda pair: -pair[1]):
        needs = figures["memory"][name]
        sizes = " | ".join(f"{needs[kind]:.0f}" for kind in ("own", "proportional", "resident"))
        lines.append(f"| {name} | {share:.4f} | {sizes} | {figures['ready'].get(name, 0):.1f} |")
    lines.append(f"| all | {sum(figures['processor'].values()):.4f} | | | | |")
    return [*lines, "", f"services ready after the servers: {figures['start']:.1f} s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the idle platform is watched")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with temporary_folder() as folder:
        figures = measure(Platform.at(folder), options.seconds)
    print(json.dumps(figures, indent=1) if options.json else "\n".join(table(figures)))


if __name__ == "__main__":
    main()
