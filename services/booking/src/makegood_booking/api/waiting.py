"""`Prefer: wait` on sessions: a change whose outcome arrives on topics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.mutations import Mutation
from makegood_chassis.http.problems import Problem

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.session import Session
from makegood_booking.handlers.batching import session_path
from makegood_booking.handlers.waiters import Milestone
from makegood_booking.store.sessions import read_session

Answer = Callable[[Session, Session | None], Awaitable[Response]]
"""Builds the answer from the session as changed, and as it is at the milestone: None if that is not reached yet."""


async def change_and_wait(
    dependencies: Dependencies,
    mutation: Mutation,
    session_id: str,
    milestone: Milestone,
    change: Callable[[], Awaitable[Session]],
    answer: Answer,
) -> Response:
    """Commits a change, waits for its milestone as long as the caller wants to, and completes the mutation.

    It subscribes before it commits, so that it misses no outcome. A problem that `answer` raises is the outcome of a
    change that took place, so it is stored for the idempotency key too.
    """
    async with dependencies.signals.waiting(milestone.key(session_id)) as waiter:
        changed = await change()
        outcome: Session | None = changed
        if not milestone.reached(changed):

            async def look() -> Session | None:
                async with dependencies.database.reading() as queries:
                    found = await read_session(queries, dependencies.policies, session_id)
                return found if found is not None and milestone.reached(found) else None

            outcome = await waiter.result(mutation.wait, look)
    try:
        response: Response | Problem = await answer(changed, outcome)
    except Problem as problem:
        response = problem
    return await mutation.complete(response)


async def change_session(
    dependencies: Dependencies,
    mutation: Mutation,
    session_id: str,
    milestone: Milestone,
    command: Callable[[UnitOfWork], Awaitable[Session]],
    answer: Answer,
) -> Response:
    """Runs a command, and waits for its milestone if the caller wants to."""
    if not mutation.wait:
        async with mutation.unit() as unit:
            return await answer(await command(unit), None)

    async def change() -> Session:
        async with mutation.unit(resource=session_path(session_id)) as unit:
            return await command(unit)

    return await change_and_wait(dependencies, mutation, session_id, milestone, change, answer)
