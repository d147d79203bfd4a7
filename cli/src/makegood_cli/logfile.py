"""Prints the end of a log file, and follows it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_BLOCK = 65536


def start_of_last_lines(stream: BinaryIO, lines: int) -> int:
    """The offset at which the last `lines` lines start, or 0 if the file has fewer. An unfinished line counts."""
    size = position = stream.seek(0, os.SEEK_END)
    found = 0
    while position > 0 and lines > 0:
        step = min(_BLOCK, position)
        position -= step
        stream.seek(position)
        block = stream.read(step)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            # A newline at the very end of the file does not start another line.
            if position + at + 1 < size:
                found += 1
                if found == lines:
                    return position + at + 1
    return size if lines <= 0 else 0


def copy_end(path: Path, lines: int, out: BinaryIO, *, goes_on: Callable[[], bool] = lambda: False) -> None:
    """Writes the last lines of the file to `out`. While `goes_on()`, follows the file, also after log rotation."""
    while True:
        with path.open("rb") as stream:
            stream.seek(start_of_last_lines(stream, lines))
            while True:
                shutil.copyfileobj(stream, out)
                out.flush()
                if not goes_on():
                    return
                if path.exists() and path.stat().st_ino != os.fstat(stream.fileno()).st_ino:
                    # The log was rotated; copy all of the new file.
                    lines = 1 << 62
                    break
                time.sleep(0.2)
