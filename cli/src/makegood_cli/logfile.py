"""Reading the end of a log, and going on with what is written to it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_BLOCK = 65536


def start_of_last_lines(stream: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines begin; the file's beginning if it has no more. A line that is not ended yet is one too."""
    size = position = stream.seek(0, os.SEEK_END)
    found = 0
    while position > 0 and lines > 0:
        step = min(_BLOCK, position)
        position -= step
        stream.seek(position)
        block = stream.read(step)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            # The newline at the very end only ends the last line.
            if position + at + 1 < size:
                found += 1
                if found == lines:
                    return position + at + 1
    return size if lines <= 0 else 0


def copy_end(path: Path, lines: int, out: BinaryIO, *, goes_on: Callable[[], bool] = lambda: False) -> None:
    """Writes the last lines of the file to `out`; while `goes_on()`, also what comes, in a new file of the name too."""
    while True:
        with path.open("rb") as stream:
            stream.seek(start_of_last_lines(stream, lines))
            while True:
                shutil.copyfileobj(stream, out)
                out.flush()
                if not goes_on():
                    return
                if path.exists() and path.stat().st_ino != os.fstat(stream.fileno()).st_ino:
                    # It grew too long and was put aside: all of the new one is news.
                    lines = 1 << 62
                    break
                time.sleep(0.2)
