"""`python clocked_service.py booking all`: a service as in production, by a clock that a test moves.

In production nothing moves the clock, and a session that is booked today is missed in a quarter of an hour at the earliest.
The file in CLOCK_FILE holds how many seconds product time is ahead; without the file, it is not.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from makegood_chassis.clock import Clock
from makegood_chassis.main import run

FILE = Path(os.environ.get("CLOCK_FILE", "/tmp/clock"))


class MovedClock(Clock):
    """Deadlines are looked for twice a second anyway, so nobody has to be told of a move."""

    def now(self) -> datetime:
        with suppress(FileNotFoundError):
            self._offset = timedelta(seconds=float(FILE.read_text()))
        return super().now()


def main() -> None:
    name = sys.argv[1]
    bootstrap = import_module(f"makegood_{name}.bootstrap").bootstrap
    settings = getattr(import_module(f"makegood_{name}.settings"), f"{name.capitalize()}Settings")
    run(lambda values: bootstrap(values, MovedClock()), settings, sys.argv[2:])


if __name__ == "__main__":
    main()
