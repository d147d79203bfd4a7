"""Changes of a session by its parties: confirm, decline, cancel, join, leave, no-show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Party

from makegood_booking.api.cancelling_models import CancelledView, CancelRequest
from makegood_booking.api.models import JoinRequest, JoinView, Nothing, SessionView
from makegood_booking.api.parameters import (
    DependenciesOf,
    SessionId,
    allowed,
    reader_of,
    session_answer,
    session_answer_with_context,
    valid_id,
)
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain import attendance, cancelling
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.in_person import CheckIn, check_in
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_booking.handlers.batching import session_path
from makegood_booking.handlers.waiters import settled, settled_key, wake_waiters
from makegood_booking.store.personal_data import keep_remark
from makegood_booking.store.remark_keys import seal_remark
from makegood_booking.store.rooms import touch_rooms
from makegood_booking.store.venues import code_digest

router = APIRouter(tags=["sessions"])

MutationOf = Annotated[Mutation, Depends(mutation())]
EndingOf = Annotated[Mutation, Depends(mutation(waits=True))]
_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": SessionView, "description": "Done; what follows for the credit will stand at `Location`"}
}


async def locked(
    dependencies: Dependencies, session_id: str, access: Access, mutation: Mutation, unit: UnitOfWork
) -> tuple[Session, Party]:
    """The session, locked, and as which party the caller changes it."""
    session = await dependencies.sessions.lock(session_id, unit)
    if session is None:
        raise not_found("session")
    role = access.require("session", member_id=session.booked.member_id, provider_id=session.booked.provider_id)
    mutation.expect_version(session.version)
    return session, "member" if role == "member" else "provider"


async def save(
    dependencies: Dependencies,
    result: Transition | Refusal | InvalidField,
    before: Session,
    party: Party,
    mutation: Mutation,
    unit: UnitOfWork,
) -> Session:
    """The session after a change that its rule allows, written and told."""
    changed = allowed(result, before, unit.now)
    if changed.events:
        await dependencies.sessions.save([(changed, mutation.cause)], unit)
        wake_waiters([before], [changed.session], dependencies.signals, unit)
    if party == "member":
        await touch_rooms([before.booked.room_id], unit)
    return changed.session


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
    """The provider confirms a reserved session (CONF-1). Confirming again changes nothing."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        session = await save(dependencies, attendance.confirm(session, unit.now), session, party, mutation, unit)
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
    """The provider declines a reserved session (CONF-1); slot and credit return.

    With `Prefer: wait=N` the answer is 200 once the credit is settled; else 202.
    """
    session_id = valid_id(session_id, "session")

    async def apply(unit: UnitOfWork) -> Session:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        return await save(dependencies, attendance.decline(session, unit.now), session, party, mutation, unit)

    return await _ending(dependencies, session_id, mutation, apply)


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
    """A party cancels (CANC-1, CANC-2). With less notice than the policy asks the member must accept the forfeit.

    The remark stands in the history, for the two parties. With `share_remark` the message to the other party carries it as well;
    `remark_shared` says whether it does.

    With `Prefer: wait=N` the answer is 200 once the credit is settled; else 202.
    """
    session_id = valid_id(session_id, "session")
    asked, author = body or CancelRequest(), access.caller.subject
    to_share = asked.remark if asked.share_remark else None
    if asked.share_remark and not (to_share or "").strip():
        raise invalid("#/remark", "Needed with `share_remark`: what the other party is to read.")
    shared = False

    async def apply(unit: UnitOfWork) -> Session:
        nonlocal shared
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        sealed = await seal_remark(session_id, author, to_share, unit) if to_share else None
        shared = sealed is not None
        result = cancelling.cancel(session, party, asked.accept_forfeit, unit.now, sealed_remark=sealed)
        session = await save(dependencies, result, session, party, mutation, unit)
        if asked.remark:
            await keep_remark(session_id, author, asked.remark, unit)
        return session

    def answer(mutation: Mutation, status: int, session: Session, location: str | None = None) -> Response:
        view = CancelledView.told(session, reader_of(session, mutation.caller), mutation.now, remark_shared=shared)
        return mutation.answer(status, view, version=session.version, location=location)

    return await _ending(dependencies, session_id, mutation, apply, answer)


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
    """A party comes (JOIN-1); the answer says where its media client connects. Before the opening: `opens_at`.

    To a session in person it checks in with the code that the venue shows, or the provider does for both (JOIN-3).

    The link is good until the session ends. It is kept nowhere: a repeated request gets a new one and joins no second time.
    """
    session_id = valid_id(session_id, "session")
    asked = body or JoinRequest()
    async with mutation.unit(secret=True) as unit:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        if mutation.repeated:
            still = attendance.entry_refused(attendance.as_of(session, unit.now)[0], unit.now)
            allowed(still or Transition(session), session, unit.now)
        else:
            digest = await code_digest(session.booked.venue_id, unit) if asked.venue_code else None
            result = check_in(session, party, CheckIn(asked.venue_code, asked.both), digest, unit.now)
            session = await save(dependencies, result, session, party, mutation, unit)
        url = None if session.booked.modality == "in_person" else dependencies.join_links.make(session, party)
        view = JoinView.model_construct(join_url=url, session=SessionView.of(session, party, unit.now))
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
    """A party leaves (JOIN-1). Who came has come: leaving takes nothing back."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        session = await save(dependencies, attendance.leave(session, party, unit.now), session, party, mutation, unit)
        return await session_answer_with_context(dependencies, mutation, session, unit)


@router.post(
    "/v1/sessions/{session_id}/no-show",
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
    """The provider marks that the member did not come (NOSH-1)."""
    session_id = valid_id(session_id, "session")
    async with mutation.unit() as unit:
        session, party = await locked(dependencies, session_id, access, mutation, unit)
        session = await save(dependencies, attendance.mark_no_show(session, unit.now), session, party, mutation, unit)
        return session_answer(mutation, 200, session)


async def _ending(
    dependencies: Dependencies,
    session_id: str,
    mutation: Mutation,
    apply: Callable[[UnitOfWork], Awaitable[Session]],
    answer: Callable[[Mutation, int, Session, str | None], Response] = session_answer,
) -> Response:
    """Ends a session, and waits for what becomes of its credit as long as the caller wants to."""
    path = session_path(session_id)
    if not mutation.wait:
        async with mutation.unit() as unit:
            return answer(mutation, 202, await apply(unit), path)
    async with dependencies.signals.waiting(settled_key(session_id)) as waiter:
        async with mutation.unit(resource=path) as unit:
            session = await apply(unit)
        outcome: Session | None = session if settled(session) else None

        async def look() -> Session | None:
            async with dependencies.database.reading() as queries:
                found = await dependencies.sessions.read(session_id, queries)
            return found if found is not None and settled(found) else None

        outcome = outcome or await waiter.result(mutation.wait, look)
    response = answer(mutation, 200, outcome, None) if outcome else answer(mutation, 202, session, path)
    return await mutation.complete(response)
