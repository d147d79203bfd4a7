"""Exports to one folder in processes that die: `export_kills.py SERVERS PREFIX FOLDER FORMAT KILLS SEED`.

Each process is killed with SIGKILL at a step of the export's own code, or at a moment in which it may be deep in a library. The last
one may finish. Prints how many died. Everything is imported once, and the processes are forked: a start costs more than an
export.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb  # noqa: F401 - imported before the fork
import makegood_cli.export.duck
import makegood_cli.export.iceberg
import makegood_cli.export.parquet
import makegood_cli.export.reading
from makegood_cli.export.reading import Limits
from makegood_cli.export.running import Options, run
from rich.console import Console

OWN = str(Path(makegood_cli.export.reading.__file__).parent)
STEPS = 5000
"""Calls in the export's own code, of which one is the last: enough to reach the second commit, and less than a tenth of the whole export."""
SECONDS = {"parquet": 0.08, "duckdb": 0.12, "iceberg": 0.25}
"""About a quarter of what an export takes on a fast machine, so that there is work left for the next one."""


def die_at_step(step: int) -> None:
    left = step

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if frame.f_code.co_filename.startswith(OWN):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def die_after(seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends the process, whatever it does
    signal.setitimer(signal.ITIMER_REAL, seconds)


def export_once(servers: str, prefix: str, folder: Path, kind: Any) -> None:
    options = Options(folder, format=kind, limits=Limits(rows=60))
    asyncio.run(run(options, servers, prefix, Console(file=StringIO())))


def main(servers: str, prefix: str, folder: str, kind: str, kills: str, seed: str) -> None:
    chance, died = random.Random(seed), 0
    for at in range(int(kills) + 1):
        step, seconds = chance.randint(1, STEPS), chance.uniform(0.02, SECONDS[kind])
        child = os.fork()
        if child == 0:
            if at < int(kills):
                die_at_step(step) if at % 3 else die_after(seconds)
            try:
                export_once(servers, prefix, Path(folder), kind)
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        died += os.WIFSIGNALED(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit(f"run {at} failed")
    sys.stdout.write(f"{died}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
