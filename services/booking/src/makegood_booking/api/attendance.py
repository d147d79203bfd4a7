"""What the two parties do with a session: confirm, decline, cancel, join, leave, report a no-show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.mutations import Mutation, MutationOf, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import invalid, valid_id
from makegood_chassis.http.rights import Access, operation

from makegood_booking.api.cancelling_models import CancelledView, CancelRequest
from makegood_booking.api.models import JoinRequest, JoinView, Nothing, SessionView
from makegood_booking.api.parameters import (
    DependenciesOf,
    SessionId,
    party_of,
    reader_of,
    session_answer,
    session_answer_with_context,
)
from makegood_booking.api.waiting import Answer, change_session
from makegood_booking.domain.in_person import CheckIn
from makegood_booking.domain.session import Session
from makegood_booking.handlers.batching import session_path
from makegood_booking.handlers.commands import sessions as commands
from makegood_booking.handlers.waiters import SETTLED

router = APIRouter(tags=["sessions"])

EndingOf = Annotated[Mutation, Depends(mutation(waits=True))]
_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": SessionView, "description": "Done. Read at `Location` what becomes of the credit"}
}


@router.post(
    "/v1/sessions/{session_id}/confirm",
    response_model=SessionView,
    responses=problems("not-found", "not-confirmed", "session-over"),
)
async def confirm_session(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.confirm"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Confirms a reserved session, as its provider. Confirming it again has no effect."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session = await commands.confirm(unit, dependencies, session_id, party_of(access, mutation))
        return session_answer(mutation, 200, session)


@router.post(
    "/v1/sessions/{session_id}/decline",
    response_model=SessionView,
    responses={**_LATER, **problems("not-found", "not-confirmed", "session-over")},
)
async def decline_session(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.decline"))],
    mutation: EndingOf,
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Declines a reserved session, as its provider. Its slot and credit are released.

    With `Prefer: wait=N`, the answer is 200 once the credit is settled. Otherwise it is 202.
    """
    session_id = valid_id(session_id, "session")

    async def command(unit: UnitOfWork) -> Session:
        return await commands.decline(unit, dependencies, session_id, party_of(access, mutation))

    def show(status: int, session: Session, location: str | None) -> Response:
        return session_answer(mutation, status, session, location)

    return await change_session(dependencies, mutation, session_id, SETTLED, command, _ended(show))


@router.post(
    "/v1/sessions/{session_id}/cancel",
    response_model=CancelledView,
    responses={
        202: {**_LATER[202], "model": CancelledView},
        **problems("not-found", "session-over", "forfeit-not-accepted"),
    },
)
async def cancel_session(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.cancel"))],
    mutation: EndingOf,
    dependencies: DependenciesOf,
    body: CancelRequest | None = None,
) -> Response:
    """Cancels a session, as its member or provider. A member who cancels with less notice than the policy requires must accept
    that the credit is forfeited.

    The remark is added to the session's history, which both parties can read. With `share_remark`, the message to the other
    party includes it too; `remark_shared` says whether it does.

    With `Prefer: wait=N`, the answer is 200 once the credit is settled. Otherwise it is 202.
    """
    session_id = valid_id(session_id, "session")
    request = body or CancelRequest()
    if request.share_remark and not (request.remark or "").strip():
        raise invalid("#/remark", "Required with `share_remark`.")
    shared = False

    async def command(unit: UnitOfWork) -> Session:
        nonlocal shared
        session, shared = await commands.cancel(
            unit,
            dependencies,
            session_id,
            party_of(access, mutation),
            author=access.caller.subject,
            remark=request.remark,
            shares_remark=request.share_remark,
            accepts_forfeit=request.accept_forfeit,
        )
        return session

    def show(status: int, session: Session, location: str | None) -> Response:
        view = CancelledView.of_cancelled(
            session, reader_of(session, mutation.caller), mutation.now, remark_shared=shared
        )
        return mutation.answer(status, view, version=session.version, location=location)

    return await change_session(dependencies, mutation, session_id, SETTLED, command, _ended(show))


def _ended(show: Callable[[int, Session, str | None], Response]) -> Answer:
    async def answer(changed: Session, outcome: Session | None) -> Response:
        if outcome is None:
            return show(202, changed, session_path(changed.id))
        return show(200, outcome, None)

    return answer


@router.post(
    "/v1/sessions/{session_id}/join",
    response_model=JoinView,
    responses=problems("not-found", "not-confirmed", "too-early-to-join", "session-over", "check-in-code-wrong"),
)
async def join_session(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.join"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
    body: JoinRequest | None = None,
) -> Response:
    """Joins a session, as its member or provider. The answer says where to connect. If it is too early, the problem says when
    joining opens (`opens_at`).

    For an in-person session, check in with the code shown at the venue. The provider can also check in both parties without it.

    The link works until the session ends. It is not stored: a repeated request returns a new link and does not join again.
    """
    session_id = valid_id(session_id, "session")
    request, admit = body or JoinRequest(), party_of(access, mutation)
    async with mutation.unit(secret=True) as unit:
        if mutation.repeated:
            session, party = await commands.enter_again(unit, dependencies, session_id, admit)
        else:
            check_in = CheckIn(request.venue_code, request.both)
            session, party = await commands.join(unit, dependencies, session_id, admit, check_in)
        url = None if session.booked.modality == "in_person" else dependencies.join_links.make(session, party)
        view = JoinView.of(url, session, party, unit.now)
        return mutation.answer(200, view, version=session.version)


@router.post(
    "/v1/sessions/{session_id}/leave",
    response_model=SessionView,
    responses=problems("not-found", "not-confirmed", "session-over"),
)
async def leave_session(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.leave"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Leaves a session, as its member or provider. You still count as having joined it."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session = await commands.leave(unit, dependencies, session_id, party_of(access, mutation))
        return await session_answer_with_context(unit, dependencies, mutation, session)


@router.post(
    "/v1/sessions/{session_id}/no-show",
    summary="Report a no-show",
    response_model=SessionView,
    responses=problems("not-found", "not-confirmed", "no-show-not-possible", "session-over"),
)
async def report_no_show(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.no-show"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
    body: Nothing | None = None,
) -> Response:
    """Reports that the member did not come, as the session's provider."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session = await commands.mark_no_show(unit, dependencies, session_id, party_of(access, mutation))
        return session_answer(mutation, 200, session)
