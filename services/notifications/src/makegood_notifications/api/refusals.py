"""Refused commands as problems."""

from __future__ import annotations

import math
from datetime import timedelta

from makegood_chassis.http import problems
from makegood_chassis.http.problems import Problem
from makegood_chassis.refusals import CommandRefused

from makegood_notifications.handlers.refusals import TooSoon


def problem_of(refused: CommandRefused) -> Problem:
    """The problem with which the API answers the refusal."""
    if isinstance(refused, TooSoon):
        seconds = max(1, math.ceil(refused.wait / timedelta(seconds=1)))
        return Problem("too-soon", headers={"Retry-After": str(seconds)}, next_at=refused.next_at)
    return problems.problem_of(refused)
