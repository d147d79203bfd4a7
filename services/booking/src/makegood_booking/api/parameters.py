"""What the routes share: parameters, dependencies, refusals as problems."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import Depends, Path, Request, Response
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.http.mutations import Mutation
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Caller
from makegood_contracts.ids import is_id
from makegood_contracts.problems import PROBLEMS

from makegood_booking.api.models import SessionPolicyView, SessionView
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.actions import Reader
from makegood_booking.domain.attendance import as_of
from makegood_booking.domain.bookability import MemberContext
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.cancelling import cancellable, forfeits_now, free_until
from makegood_booking.domain.rebooking import rebookable_until
from makegood_booking.domain.session import Refusal, Session, Transition

SessionId = Annotated[str, Path(description="Id of the session.")]
RoomId = Annotated[str, Path(description="Id of the room.")]


async def _dependencies(request: Request) -> Dependencies:
    dependencies: Dependencies = request.app.state.service.dependencies
    return dependencies


DependenciesOf = Annotated[Dependencies, Depends(_dependencies)]


def valid_id(text: str, what: str) -> str:
    """The id in its canonical form; 404 for a text that cannot name anything."""
    if len(text) != 36 or not is_id(text):
        raise not_found(what)
    return text.lower()


def session_policy(session: Session, now: datetime) -> SessionPolicyView:
    """What cancelling means for this session now (BOOK-3, CANC-1)."""
    session, policy = as_of(session, now)[0], session.policy
    return SessionPolicyView(
        cancellable=cancellable(session, now),
        free_until=free_until(session, now),
        forfeits_now=forfeits_now(session, now),
        notice_hours=policy.notice_hours,
        text=policy.text,
    )


def allowed(result: Transition | Refusal | InvalidField, session: Session, now: datetime) -> Transition:
    """The change; a refusal is raised as its problem."""
    if isinstance(result, Transition):
        return result
    if isinstance(result, InvalidField):
        raise invalid(f"#/{result.field}", result.detail)
    detail = result.detail or PROBLEMS[result.code].when
    members: dict[str, Any] = {"reasons": [{"code": result.code, "detail": detail}]}
    if result.code == "forfeit-not-accepted":
        policy = session_policy(session, now)
        members["policy"] = policy.model_copy(update={"forfeits_now": True, "free_until": result.free_until})
    if result.opens_at is not None:
        members["opens_at"] = result.opens_at
    headers = {"Retry-After": "1"} if result.code == "move-pending" else None
    raise Problem(result.code, detail, headers=headers, **members)


async def member_contexts(
    dependencies: Dependencies, shown: Iterable[Session], caller: Caller, now: datetime, queries: Queries
) -> dict[str, MemberContext]:
    """MISS-4: what is known of the rooms of those sessions that the caller might rebook, by id; mostly none."""
    rooms = {
        session.booked.room_id
        for session in shown
        if session.status == "provider_missed"
        and now < rebookable_until(session)
        and reader_of(session, caller) == "member"
    }
    return await dependencies.bookability.member_contexts(rooms, now, queries) if rooms else {}


async def session_answer_with_context(
    dependencies: Dependencies, mutation: Mutation, session: Session, unit: UnitOfWork
) -> Response:
    """As `session_answer`, where the session may be one that was missed before."""
    contexts = await member_contexts(dependencies, [session], mutation.caller, unit.now, unit)
    return session_answer(mutation, 200, session, context=contexts.get(session.booked.room_id))


def session_answer(
    mutation: Mutation, status: int, session: Session, location: str | None = None, context: MemberContext | None = None
) -> Response:
    """A session as the answer to a change."""
    view = SessionView.of(session, reader_of(session, mutation.caller), mutation.now, context=context)
    return mutation.answer(status, view, version=session.version, location=location)


def reader_of(session: Session, caller: Caller) -> Reader:
    """As whom the caller, who may see the session, reads it."""
    booked = session.booked
    for role, party in (("member", booked.member_id), ("provider", booked.provider_id)):
        if caller.subject == party and role in caller.roles:
            return cast("Reader", role)
    return "support"
