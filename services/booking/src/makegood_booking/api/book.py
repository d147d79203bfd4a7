"""Booking a session (BOOK-1 to BOOK-6, BOOK-9)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.problems import Problem, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Actor
from makegood_contracts.ids import new_id

from makegood_booking.api.models import BookRequest, SessionView, remedy_context
from makegood_booking.api.parameters import DependenciesOf, session_answer
from makegood_booking.api.refusals import CREDIT_REFUSALS, SLOT_REFUSALS, booking_problem, refusal_problem
from makegood_booking.api.waiting import change_and_wait
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.booking import BookingRequest
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.batching import BookingCommand, Result, session_path
from makegood_booking.handlers.commands import sessions as commands
from makegood_booking.handlers.refusals import BookingRefused
from makegood_booking.handlers.waiters import DECIDED
from makegood_booking.metrics import count_refusals

router = APIRouter(tags=["sessions"])


@router.post(
    "/v1/sessions",
    status_code=201,
    response_model=SessionView,
    responses={
        200: {
            "model": SessionView,
            "description": "With `Prefer: wait`: the session was cancelled before the answer was sent",
            "headers": LOCATION,
        },
        201: {
            "description": "With `Prefer: wait`: the session is `reserved`, or `confirmed` if the provider booked it. Its slot "
            "and credit are held",
            "headers": LOCATION,
        },
        202: {"model": SessionView, "description": "Requested. Read the outcome at `Location`"},
        **problems(
            "not-found",
            "support-may-not",
            "room-closed",
            "room-inactive",
            *SLOT_REFUSALS,
            *CREDIT_REFUSALS,
            "temporary-interruption",
        ),
    },
)
async def book_session(
    body: BookRequest,
    access: Annotated[Access, Depends(operation("session.book"))],
    mutation: Annotated[Mutation, Depends(mutation(key_required=True, if_match="none", waits=True))],
    dependencies: DependenciesOf,
) -> Response:
    """Books a session. Either one slot and one credit are held, or neither.

    Members book for themselves. A session that the room's provider books is confirmed at once. Support may only book `video`
    sessions, for members whose plan is health insurance.

    With `Prefer: wait=N`, the answer is the outcome: 201; 200 if another request cancelled the session in the meantime; or 409
    with all `reasons`, the `session_id` of the rejected session and, if a credit is missing, whether one is `purchasable`.
    Without it, or if time runs out, the answer is 202.

    Members can rebook a session that their provider missed within 30 days, even if someone else has closed the room since. The
    room opens again once the session is reserved.
    """
    request = BookingRequest(
        room_id=valid_id(body.room_id, "room"),
        starts_at=body.starts_at,
        length_minutes=body.length_minutes,
        modality=body.modality,
        time_zone=body.time_zone,
        venue_id=body.venue_id,
    )
    session_id = new_id()
    waits = mutation.wait > 0
    command = _command(session_id, request, access, mutation, waits=waits)
    if not waits:
        session, response = await _book(dependencies, command)
        return response or session_answer(mutation, 202, session, session_path(session_id))

    async def change() -> Session:
        session, _ = await _book(dependencies, command)
        return session

    async def answer(changed: Session, outcome: Session | None) -> Response:
        if outcome is None:
            return session_answer(mutation, 202, changed, session_path(session_id))
        if outcome.status == "rejected":
            raise await _rejected(dependencies, outcome)
        # 201 says that there is a session now. If another request has cancelled it since, there is none.
        return session_answer(mutation, 200 if outcome.over else 201, outcome, session_path(session_id))

    return await change_and_wait(dependencies, mutation, session_id, DECIDED, change, answer)


def _command(
    session_id: str, request: BookingRequest, access: Access, mutation: Mutation, *, waits: bool
) -> BookingCommand:
    def booked_by(room: Room) -> Actor | None:
        entity = f"session:{session_id}"
        role = access.noted_role(member_id=room.member_id, provider_id=room.provider_id, entity=entity)
        return None if role is None or role == "ops" else role

    def accepted(session: Session) -> Response:
        return session_answer(mutation, 202, session, session_path(session_id))

    return BookingCommand(
        session_id,
        request,
        booked_by,
        mutation.cause,
        mutation.claim,
        None if waits else accepted,
        access.accesses,
    )


async def _book(dependencies: Dependencies, command: BookingCommand) -> Result:
    try:
        return await commands.book(dependencies, command)
    except BookingRefused as refused:
        count_refusals("request", refused.reasons)
        raise await booking_problem(dependencies, refused, command.request) from None


async def _rejected(dependencies: Dependencies, session: Session) -> Problem:
    """Every reason why the session was rejected, with its remedy, and whether a credit can be purchased (BOOK-4)."""
    members: dict[str, Any] = {"session_id": session.id}
    if session.purchasable is not None:
        members["purchasable"] = session.purchasable
    return await refusal_problem(dependencies, remedy_context(session), session.reasons, **members)
