"""Real time that does not jump with the clock of this machine.

It runs on the monotonic clock. The database's clock says what time it is, because all processes of a service share it: a process
whose own clock is wrong would otherwise act before or after the others. Leases and deadlines use that clock too.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

import structlog

_TOLERANCE: Final = 0.5
"""Seconds by which two clocks may differ. Less is not worth a step."""
_log = structlog.get_logger(__name__)


class RealTime:
    """A clock that starts with the machine's and follows another one."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.monotonic() + self._offset

    def follow(self, told: float, asked: float, answered: float) -> None:
        """Another clock said `told`, some time between `asked` and `answered` (by `time.monotonic()`). If this one differs
        by more than that can explain, it steps."""
        offset = told - (asked + answered) / 2
        difference = offset - self._offset
        if abs(difference) > _TOLERANCE + (answered - asked) / 2:
            self._offset = offset
            _log.warning("clock differed from the database's and was set", seconds=round(difference, 1))


_PROCESS: Final = RealTime()
now = _PROCESS.now
follow = _PROCESS.follow


def utc_now() -> datetime:
    """The present moment in UTC."""
    return datetime.fromtimestamp(now(), UTC)
