"""Refused commands as problems."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http import problems
from makegood_chassis.http.problems import Problem
from makegood_chassis.refusals import CommandRefused

from makegood_availability.api.models import InsideView
from makegood_availability.handlers.refusals import SessionsInTimeOff

MOST_NAMED: Final = 100
"""How many sessions the answer to time off names. It also says how many there are."""


def problem_of(refused: CommandRefused) -> Problem:
    """The problem with which the API answers the refusal."""
    if isinstance(refused, SessionsInTimeOff):
        named = [InsideView.model_validate(session) for session in refused.sessions[:MOST_NAMED]]
        return Problem("sessions-in-time-off", sessions=named, session_count=len(refused.sessions))
    return problems.problem_of(refused)
