"""Builds and runs the checker, a Go program on Porcupine in `tests/chaos/history_checker`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec
from makegood_stack.home import find_root

_PATIENCE: Final = 60
"""Seconds for each partition."""


class NoChecker(Exception):
    """The checker cannot be made here. The text says what is missing."""


class Verdict(msgspec.Struct, frozen=True):
    """What the checker says."""

    operations: int
    unknown: int
    """Operations of which nobody knows whether they took effect."""
    partitions: dict[str, int]
    """How many histories were judged, by model."""
    longest: int
    """Operations of the longest of them."""
    linearizable: bool
    illegal: list[str]
    unjudged: list[str]
    """For these the time was not enough."""


def build(folder: Path) -> Path:
    """The program, in `folder`. Raises NoChecker without Go, or if the modules cannot be fetched."""
    go = shutil.which("go")
    if go is None:
        raise NoChecker("Go is not installed (Debian's package golang-go)")
    source = find_root() / "tests" / "chaos" / "history_checker"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOWORK": "off"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [go, *words], cwd=source, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    fetched = run("mod", "download")
    if fetched.returncode:
        raise NoChecker(f"the Go modules cannot be fetched: {fetched.stderr.strip()[-300:]}")
    program = folder / "historychecker"
    built = run("build", "-o", str(program), ".")
    if built.returncode:
        raise RuntimeError(f"the checker cannot be built: {built.stderr[-2000:]}")
    return program


def judge(program: Path, history: Path, show: Path | None = None) -> Verdict:
    """Judges the history in a file. `show`: the folder for pages that show what is wrong."""
    command = [str(program), "-patience", f"{_PATIENCE}s", *(["-show", str(show)] if show else [])]
    with history.open() as lines:
        result = subprocess.run(  # noqa: S603 - our own program
            command, stdin=lines, capture_output=True, text=True, check=False
        )
    if result.returncode not in (0, 1):
        raise RuntimeError(f"the checker failed: {result.stderr[-2000:]}")
    return msgspec.json.decode(result.stdout, type=Verdict)
