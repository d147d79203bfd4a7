"""Refused commands as problems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.http.mutations import Mutation
from makegood_chassis.http.problems import Problem, invalid, not_found

from makegood_availability.api.models import InsideView
from makegood_availability.dependencies import Dependencies
from makegood_availability.handlers.refusals import (
    CommandRefused,
    FieldRefused,
    NotFound,
    SessionsInTimeOff,
    WaitlistRefused,
)

MOST_NAMED: Final = 100
"""How many sessions the answer to time off names. It also says how many there are."""


@asynccontextmanager
async def unit_of(mutation: Mutation) -> AsyncIterator[UnitOfWork]:
    """The mutation's transaction. A command that is refused inside rolls it back and is answered with its problem."""
    try:
        async with mutation.unit() as unit:
            yield unit
    except CommandRefused as refused:
        raise problem_of(refused) from None


@asynccontextmanager
async def reading(dependencies: Dependencies) -> AsyncIterator[Queries]:
    """A connection for single statements that only read. A refusal inside is answered with its problem."""
    try:
        async with dependencies.database.reading() as queries:
            yield queries
    except CommandRefused as refused:
        raise problem_of(refused) from None


def problem_of(refused: CommandRefused) -> Problem:
    """The problem with which the API answers the refusal."""
    match refused:
        case NotFound():
            return not_found(refused.what)
        case FieldRefused():
            return invalid(f"#/{refused.field}", refused.detail)
        case SessionsInTimeOff():
            named = [InsideView.model_validate(session) for session in refused.sessions[:MOST_NAMED]]
            return Problem("sessions-in-time-off", sessions=named, session_count=len(refused.sessions))
        case WaitlistRefused():
            return Problem(refused.code, refused.detail)
    raise AssertionError(f"no problem for {type(refused).__name__}")
