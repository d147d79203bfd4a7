"""The problem that answers a refused command."""

from __future__ import annotations

import math
from datetime import timedelta

from makegood_chassis.http.problems import Problem

from makegood_notifications.handlers.commands import TooSoon


def problem_of(refusal: str | TooSoon) -> Problem:
    """A refusal in words is the slug of its problem."""
    if isinstance(refusal, str):
        return Problem(refusal)
    seconds = max(1, math.ceil(refusal.wait / timedelta(seconds=1)))
    return Problem("too-soon", headers={"Retry-After": str(seconds)}, next_at=refusal.next_at)
