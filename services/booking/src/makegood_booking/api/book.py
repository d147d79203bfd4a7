"""Booking a session (BOOK-1 to BOOK-6, BOOK-9)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Actor
from makegood_contracts.ids import new_id
from makegood_contracts.problems import PROBLEMS
from makegood_contracts.reasons import Reason

from makegood_booking.api.bookability import refusal, refused_at_once
from makegood_booking.api.models import BookRequest, SessionView, about
from makegood_booking.api.parameters import DependenciesOf, session_answer, valid_id
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.booking import BookingRequest
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.batching import (
    BookingCommand,
    NoSuchRoom,
    NotBookable,
    RoomRefused,
    SupportMayNot,
    session_path,
)
from makegood_booking.handlers.waiters import decided, decided_key

router = APIRouter(tags=["sessions"])

_REFUSALS = (
    "not-found",
    "support-may-not",
    "room-closed",
    "room-inactive",
    "slot-not-offered",
    "slot-taken",
    "venue-taken",
    "member-busy",
    "no-session-credits",
    "coverage-ended",
    "plan-excludes-live-sessions",
    "length-not-in-plan",
    "modality-not-in-plan",
    "outstanding-charges",
    "temporary-interruption",
)


@router.post(
    "/v1/sessions",
    status_code=201,
    response_model=SessionView,
    responses={
        200: {
            "model": SessionView,
            "description": "With `Prefer: wait`: it was cancelled before it was answered",
            "headers": LOCATION,
        },
        201: {
            "description": "With `Prefer: wait`: the session is `reserved`, or `confirmed` where the provider booked it; "
            "slot and credit are held",
            "headers": LOCATION,
        },
        202: {"model": SessionView, "description": "Asked for; the outcome will stand at `Location`"},
        **problems(*_REFUSALS),
    },
)
async def book_session(
    body: BookRequest,
    access: Annotated[Access, Depends(operation("session.book"))],
    mutation: Annotated[Mutation, Depends(mutation(key_required=True, if_match="none", waits=True))],
    dependencies: DependenciesOf,
) -> Response:
    """Books a session: one slot and one credit are held, or neither.

    By the member; by the room's provider, and then it is confirmed at once (BOOK-5); by support, but only a `video` session
    of a member whose plan is health insurance (BOOK-6).

    With `Prefer: wait=N` the answer is the outcome: 201, 200 where another request cancelled the session meanwhile, or 409
    with every reason in `reasons`, `purchasable` where a credit is missing, and the `session_id` of the rejected session.
    Without it, or when the time is up: 202.

    A member who books again what the provider missed does so within 30 days even in a room that somebody else closed: it is
    opened again once the session is reserved (MISS-4).
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
    if not mutation.wait:
        session, response = await _submit(dependencies, _booking(session_id, request, access, mutation, waits=False))
        return response or session_answer(mutation, 202, session, session_path(session_id))
    async with dependencies.signals.waiting(decided_key(session_id)) as waiter:
        session, _ = await _submit(dependencies, _booking(session_id, request, access, mutation, waits=True))

        async def look() -> Session | None:
            async with dependencies.database.reading() as queries:
                found = await dependencies.sessions.read(session_id, queries)
            return found if found is not None and decided(found) else None

        outcome = await waiter.result(mutation.wait, look)
    if outcome is None:
        return await mutation.complete(session_answer(mutation, 202, session, session_path(session_id)))
    if outcome.status == "rejected":
        return await mutation.complete(await refused(dependencies, outcome))
    # 201 says that there is a session now; one that another request cancelled meanwhile is none.
    return await mutation.complete(
        session_answer(mutation, 200 if outcome.over else 201, outcome, session_path(session_id))
    )


def _booking(
    session_id: str, request: BookingRequest, access: Access, mutation: Mutation, *, waits: bool
) -> BookingCommand:
    def booked_by(room: Room) -> Actor | None:
        about = f"session:{session_id}"
        role = access.noted_role(member_id=room.member_id, provider_id=room.provider_id, entity=about)
        return None if role is None or role == "ops" else role

    return BookingCommand(
        session_id,
        request,
        booked_by,
        mutation.cause,
        mutation.claim,
        None if waits else lambda session: session_answer(mutation, 202, session, session_path(session_id)),
        access.accesses,
    )


async def _submit(dependencies: Dependencies, booking: BookingCommand) -> tuple[Session, Response | None]:
    try:
        try:
            return await dependencies.batcher.submit(booking)
        except RoomRefused as error:
            if error.booked_by != "member":
                raise
            return await dependencies.batcher.rebook(booking)
    except NoSuchRoom:
        raise not_found("room") from None
    except NotBookable as error:
        raise invalid(f"#/{error.invalid_field.field}", error.invalid_field.detail) from None
    except RoomRefused as error:
        raise await refused_at_once(
            dependencies, error.place, booking.request, error.booked_by, error.reasons
        ) from None
    except SupportMayNot as error:
        reason = Reason(code="support-may-not", detail=PROBLEMS["support-may-not"].when)
        raise await refused_at_once(dependencies, error.place, booking.request, "support", [reason]) from None


async def refused(dependencies: Dependencies, session: Session) -> Problem:
    """BOOK-4: why there is no session, every reason of it with its remedy, and whether a credit can be purchased."""
    members: dict[str, Any] = {"session_id": session.id}
    if session.purchasable is not None:
        members["purchasable"] = session.purchasable
    return await refusal(dependencies, about(session, session.purchasable), session.reasons, **members)
