"""`python clocked_service.py booking all`: a service as in production, by a clock that a test moves.

In production nothing moves the clock, and a session that is booked today is missed in a quarter of an hour at the earliest.
The file in CLOCK_FILE holds how many seconds product time is ahead.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from makegood_chassis.clock import Clock
from makegood_chassis.main import run
from makegood_testkit.settings_table import SETTINGS


class MovedClock(Clock):
    """Deadlines are looked for twice a second anyway, so nobody has to be told of a move."""

    def now(self) -> datetime:
        self._offset = timedelta(seconds=float(Path(os.environ["CLOCK_FILE"]).read_text()))
        return super().now()


def main() -> None:
    name = sys.argv[1]
    bootstrap = import_module(f"makegood_{name}.bootstrap").bootstrap
    run(lambda settings: bootstrap(settings, MovedClock()), SETTINGS[name], sys.argv[2:])


if __name__ == "__main__":
    main()
