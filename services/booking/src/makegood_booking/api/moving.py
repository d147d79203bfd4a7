"""Another time for a session: moves by its parties (RESC-1 to RESC-3), extensions by the provider (EXT-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, invalid
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import InvoiceWish
from makegood_contracts.ids import new_id

from makegood_booking.api.bookability import refusal
from makegood_booking.api.endings import locked, save
from makegood_booking.api.models import SessionView, about
from makegood_booking.api.moving_models import ExtendRequest, RescheduleRequest
from makegood_booking.api.parameters import DependenciesOf, SessionId, session_answer, valid_id
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.moves import answer_in_words
from makegood_booking.domain.reschedule import Reschedule
from makegood_booking.domain.rescheduling import RescheduleCommand, extend, reschedule
from makegood_booking.domain.session import Session
from makegood_booking.handlers.batching import session_path
from makegood_booking.handlers.waiters import moved_key
from makegood_booking.store.calendars import specialty_of

router = APIRouter(tags=["sessions"])

MovingOf = Annotated[Mutation, Depends(mutation(if_match="required", waits=True))]
_SLOT_REFUSALS = ("slot-not-offered", "slot-taken", "venue-taken", "member-busy", "temporary-interruption")
_CREDIT_REFUSALS = (
    "no-session-credits",
    "coverage-ended",
    "plan-excludes-live-sessions",
    "length-not-in-plan",
    "modality-not-in-plan",
    "outstanding-charges",
)
_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": SessionView, "description": "Asked for, see `move`; the outcome will stand at `Location`"}
}


@router.post(
    "/v1/sessions/{session_id}/reschedule",
    response_model=SessionView,
    responses={
        **_LATER,
        **problems(
            "not-found",
            "session-over",
            "not-confirmed",
            "move-pending",
            "forfeit-not-accepted",
            "member-must-be-told",
            *_SLOT_REFUSALS,
            *_CREDIT_REFUSALS,
        ),
    },
)
async def reschedule_session(
    session_id: SessionId,
    body: RescheduleRequest,
    access: Annotated[Access, Depends(operation("session.reschedule"))],
    mutation: MovingOf,
    dependencies: DependenciesOf,
) -> Response:
    """Moves a session to another time, length or venue (RESC-1); a refused move leaves everything as it was.

    With less notice than the policy asks the member must accept the forfeit: the credit is lost, and the new time costs
    another one. A member's move asks for the provider's confirmation anew, a provider's does not.

    Where nothing changes but `time_zone`, it is no move: it is done at once, whatever the notice, and costs nothing (RESC-5). A
    provider's move with `notify_member: false` is refused (`member-must-be-told`) unless both the old and the new start are
    farther away than the notice.

    With `Prefer: wait=N` the answer is the outcome: 200, or 409 with every reason in `reasons` and, where provider, venue or member
    cannot at that time, `message` in the fixed words of `GET /v1/providers/{id}/availability` (RESC-2). Without it: 202.
    """
    session_id = valid_id(session_id, "session")
    request = RescheduleCommand(**dict(body))

    async def apply(unit: UnitOfWork) -> Session:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        specialty = await specialty_of(session.booked.provider_id, unit)
        result = reschedule(session, request, party, new_id(), specialty, unit.now)
        return await save(dependencies, result, session, party, mutation, unit)

    return await _moving(dependencies, session_id, mutation, apply)


@router.post(
    "/v1/sessions/{session_id}/extend",
    response_model=SessionView,
    responses={**_LATER, **problems("not-found", "session-over", "not-confirmed", "move-pending", *_SLOT_REFUSALS)},
)
async def extend_session(
    session_id: SessionId,
    body: ExtendRequest,
    access: Annotated[Access, Depends(operation("session.extend"))],
    mutation: MovingOf,
    dependencies: DependenciesOf,
) -> Response:
    """The provider goes on longer, if provider and venue are free, with an invoice for the member if wanted (EXT-1).

    With `Prefer: wait=N` the answer is the outcome: 200, or 409 as with a move. Without it: 202.
    """
    session_id = valid_id(session_id, "session")
    invoice = InvoiceWish(**body.invoice.model_dump()) if body.invoice else None
    if invoice and invoice.currency not in dependencies.currencies:
        raise invalid("#/invoice/currency", "The platform is set up for no charges in this currency.")

    async def apply(unit: UnitOfWork) -> Session:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        result = extend(session, body.ends_at, invoice, new_id(), unit.now)
        return await save(dependencies, result, session, party, mutation, unit)

    return await _moving(dependencies, session_id, mutation, apply)


async def _moving(
    dependencies: Dependencies, session_id: str, mutation: Mutation, apply: Callable[[UnitOfWork], Awaitable[Session]]
) -> Response:
    """Asks for another time, and waits for the outcome as long as the caller wants to."""
    path = session_path(session_id)
    if not mutation.wait:
        async with mutation.unit() as unit:
            session = await apply(unit)
            return session_answer(mutation, 202 if session.move_pending else 200, session, path)
    async with dependencies.signals.waiting(moved_key(session_id)) as waiter:
        async with mutation.unit(resource=path) as unit:
            session = await apply(unit)

        async def look() -> Session | None:
            async with dependencies.database.reading() as queries:
                found = await dependencies.sessions.read(session_id, queries)
            return found if found is not None and not found.move_pending else None

        asked = session.move
        if asked is None or not asked.pending:  # it is there already
            return await mutation.complete(session_answer(mutation, 200, session))
        outcome = await waiter.result(mutation.wait, look)
    if outcome is None:
        return await mutation.complete(session_answer(mutation, 202, session, path))
    return await mutation.complete(
        await _refused(dependencies, outcome, asked) or session_answer(mutation, 200, outcome)
    )


async def _refused(dependencies: Dependencies, session: Session, asked: Reschedule) -> Problem | None:
    """Why the session stays where it was; None where it was moved."""
    move = session.move
    if move is None or move.id != asked.id:
        there = (session.booked.starts_at, session.booked.ends_at) == (asked.starts_at, asked.ends_at)
        return Problem("session-over", "The session ended before it was moved.") if session.over and not there else None
    members: dict[str, Any] = {"session_id": session.id}
    if (message := answer_in_words(move.reasons)) is not None:
        members["message"] = message
    if move.purchasable is not None:
        members["purchasable"] = move.purchasable
    return await refusal(dependencies, about(session, move.purchasable), move.reasons, **members)
