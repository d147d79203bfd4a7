"""Why a command was refused, if the chassis has no such refusal. The API answers each with its problem
(`api/refusals.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from makegood_chassis.refusals import CommandRefused


class TooSoon(CommandRefused):
    """An allowance is used up. It is possible again at `next_at`, after `wait`."""

    def __init__(self, next_at: datetime, wait: timedelta) -> None:
        super().__init__(next_at)
        self.next_at = next_at
        self.wait = wait
