"""Exports to one folder in processes that die: `export_kills.py SERVERS PREFIX FOLDER FORMAT KILLS SEED`.

Each process is killed with SIGKILL at a step of the export's own code, or at a moment in which it may be deep in a library. The last
one may finish. Prints how many died. Everything is imported once, and the processes are forked: a start costs more than an
export. A first one exports to a folder beside it, undisturbed, and tells how many steps and seconds it takes.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
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


class Steps:
    """Counts the calls in the export's own code, and kills the process at one of them."""

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self.taken = 0
        sys.setprofile(self._count)

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code.co_filename.startswith(OWN):
            self.taken += 1
            if self.taken == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def die_after(seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends the process, whatever it does
    signal.setitimer(signal.ITIMER_REAL, seconds)


def export_once(servers: str, prefix: str, folder: Path, kind: Any) -> None:
    options = Options(folder, format=kind, limits=Limits(rows=60))
    asyncio.run(run(options, servers, prefix, Console(file=StringIO())))


def in_child(work: Callable[[], None]) -> int:
    """The status of a forked process that does this."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def undisturbed(servers: str, prefix: str, folder: Path, kind: str) -> tuple[int, float]:
    """Steps and seconds of a whole export."""
    told = folder.with_name(f"{folder.name}.undisturbed")

    def work() -> None:
        begun, steps = time.monotonic(), Steps()
        export_once(servers, prefix, told.with_suffix(".export"), kind)
        sys.setprofile(None)
        told.write_text(f"{steps.taken} {time.monotonic() - begun}")

    if in_child(work):
        sys.exit("the undisturbed export failed")
    steps, seconds = told.read_text().split()
    return int(steps), float(seconds)


def main(servers: str, prefix: str, folder: str, kind: str, kills: str, seed: str) -> None:
    chance, died = random.Random(seed), 0
    steps, seconds = undisturbed(servers, prefix, Path(folder), kind)
    share = 1.5 / int(kills)  # so two thirds of them together do not reach the end, however they fall
    for at in range(int(kills) + 1):
        last, until = chance.randint(1, int(steps * share)), chance.uniform(0.01, seconds * share / 2)

        def work(at: int = at, last: int = last, until: float = until) -> None:
            if at < int(kills):
                Steps(last) if at % 3 else die_after(until)
            export_once(servers, prefix, Path(folder), kind)

        status = in_child(work)
        died += os.WIFSIGNALED(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit(f"run {at} failed")
    sys.stdout.write(f"{died}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
