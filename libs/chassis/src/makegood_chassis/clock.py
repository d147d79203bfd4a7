"""Product time. In production it is real time; in development it can be moved, for all processes of a service together.

Only the product's rules read this clock. Tokens, leases, idempotency and rate limits use real time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from makegood_chassis.real_time import utc_now


class Clock:
    """`now()` is real time plus an offset. The offset is stored in the service's database, and each process follows it."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self.on_move: list[Callable[[], None]] = []
        """Called after the offset has changed."""

    @property
    def offset(self) -> timedelta:
        return self._offset

    def now(self) -> datetime:
        """The product's present moment, in UTC."""
        return utc_now() + self._offset

    def real(self, moment: datetime) -> datetime:
        """The real moment at which product time is `moment`, if the offset stays."""
        return moment - self._offset

    def set_offset(self, offset: timedelta) -> None:
        if offset != self._offset:
            self._offset = offset
            for moved in self.on_move:
                moved()


class FixedClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self.moment = moment

    def now(self) -> datetime:
        return self.moment
