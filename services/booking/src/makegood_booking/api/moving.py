"""Another time for a session: moves by its parties (RESC-1 to RESC-3), extensions by the provider (EXT-1)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, invalid, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import InvoiceWish

from makegood_booking.api.models import SessionView, remedy_context
from makegood_booking.api.moving_models import ExtendRequest, RescheduleRequest
from makegood_booking.api.parameters import DependenciesOf, SessionId, party_of, session_answer
from makegood_booking.api.refusals import CREDIT_REFUSALS, SLOT_REFUSALS, refusal_problem
from makegood_booking.api.waiting import Answer, change_session
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.moves import answer_in_words
from makegood_booking.domain.reschedule import Reschedule
from makegood_booking.domain.rescheduling import RescheduleCommand
from makegood_booking.domain.session import Session
from makegood_booking.handlers.batching import session_path
from makegood_booking.handlers.commands import sessions as commands
from makegood_booking.handlers.waiters import MOVED

router = APIRouter(tags=["sessions"])

MovingOf = Annotated[Mutation, Depends(mutation(if_match="required", waits=True))]
_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": SessionView, "description": "Requested: see `move`. Read the outcome at `Location`"}
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
            *SLOT_REFUSALS,
            "temporary-interruption",
            *CREDIT_REFUSALS,
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
    """Moves a session to another time, length or venue. If the move is refused, the session stays as it was.

    With less notice than the policy requires, a member must accept the forfeit: the credit is lost, and the new time costs
    another one. When a member moves a session, the provider has to confirm it again. When a provider moves one, it stays
    confirmed.

    Changing only `time_zone` is not a move. It takes effect at once, whatever the notice, and costs nothing. A provider can send
    `notify_member: false` only if both the old and the new start are further away than the notice period. Otherwise the
    move is refused (`member-must-be-told`).

    With `Prefer: wait=N`, the answer is the outcome: 200, or 409 with all `reasons`. If the provider, venue or member is not
    available, `message` says so in the words of `GET /v1/providers/{id}/availability`. Without it, or if time runs out, the
    answer is 202.
    """
    session_id = valid_id(session_id, "session")
    move = RescheduleCommand(**dict(body))

    async def command(unit: UnitOfWork) -> Session:
        return await commands.reschedule(unit, dependencies, session_id, party_of(access, mutation), move)

    return await change_session(dependencies, mutation, session_id, MOVED, command, _moved(dependencies, mutation))


@router.post(
    "/v1/sessions/{session_id}/extend",
    response_model=SessionView,
    responses={
        **_LATER,
        **problems(
            "not-found", "session-over", "not-confirmed", "move-pending", *SLOT_REFUSALS, "temporary-interruption"
        ),
    },
)
async def extend_session(
    session_id: SessionId,
    body: ExtendRequest,
    access: Annotated[Access, Depends(operation("session.extend"))],
    mutation: MovingOf,
    dependencies: DependenciesOf,
) -> Response:
    """Extends a session, as its provider, if the provider and the venue are free. You can add an invoice for the member.

    With `Prefer: wait=N`, the answer is the outcome: 200, or 409 as for a move. Without it, or if time runs out, the answer is
    202.
    """
    session_id = valid_id(session_id, "session")
    invoice = InvoiceWish(**body.invoice.model_dump()) if body.invoice else None
    if invoice and invoice.currency not in dependencies.currencies:
        raise invalid("#/invoice/currency", "This platform does not accept charges in this currency.")

    async def command(unit: UnitOfWork) -> Session:
        admit = party_of(access, mutation)
        return await commands.extend(unit, dependencies, session_id, admit, body.ends_at, invoice)

    return await change_session(dependencies, mutation, session_id, MOVED, command, _moved(dependencies, mutation))


def _moved(dependencies: Dependencies, mutation: Mutation) -> Answer:
    async def answer(changed: Session, outcome: Session | None) -> Response:
        if outcome is None:
            status = 202 if changed.move_pending else 200
            return session_answer(mutation, status, changed, session_path(changed.id))
        if changed.move is not None and changed.move.pending:
            await _check_moved(dependencies, outcome, changed.move)
        return session_answer(mutation, 200, outcome)

    return answer


async def _check_moved(dependencies: Dependencies, session: Session, asked: Reschedule) -> None:
    """Raises the problem of a move that did not take place."""
    move = session.move
    if move is None or move.id != asked.id:
        moved = (session.booked.starts_at, session.booked.ends_at) == (asked.starts_at, asked.ends_at)
        if session.over and not moved:
            raise Problem("session-over", "The session ended before it was moved.")
        return
    members: dict[str, Any] = {"session_id": session.id}
    if (message := answer_in_words(move.reasons)) is not None:
        members["message"] = message
    if move.purchasable is not None:
        members["purchasable"] = move.purchasable
    raise await refusal_problem(dependencies, remedy_context(session, move.purchasable), move.reasons, **members)
