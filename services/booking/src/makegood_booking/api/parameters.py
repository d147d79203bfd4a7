"""What the routes share: parameters, the caller's part in a session or room, and sessions as answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Response
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.http.context import dependencies_of
from makegood_chassis.http.mutations import Mutation
from makegood_chassis.http.rights import Access, Caller
from makegood_contracts.events import Actor, Party

from makegood_booking.api.models import SessionView
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.actions import Reader
from makegood_booking.domain.bookability import MemberContext
from makegood_booking.domain.rebooking import rebookable_until
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.bookability import read_member_contexts

SessionId = Annotated[str, Path(description="The session's id.")]
RoomId = Annotated[str, Path(description="The room's id.")]


DependenciesOf = Annotated[Dependencies, Depends(dependencies_of)]


def party_of(access: Access, mutation: Mutation) -> Callable[[Session], Party]:
    """The party as which the caller changes a session. Raises 404 if it is not theirs, and 412 if it is not at the
    version that they expect.
    """

    def admit(session: Session) -> Party:
        role = access.require("session", member_id=session.booked.member_id, provider_id=session.booked.provider_id)
        mutation.expect_version(session.version)
        return "member" if role == "member" else "provider"

    return admit


def actor_of(access: Access, mutation: Mutation | None = None) -> Callable[[Room], Actor]:
    """The actor as whom the caller changes a room. Raises 404 if it is not theirs, and 412 if it is not at the version
    that they expect.
    """

    def admit(room: Room) -> Actor:
        role = access.require("room", member_id=room.member_id, provider_id=room.provider_id)
        if mutation is not None:
            mutation.expect_version(room.version)
        return "support" if role == "ops" else role

    return admit


async def member_contexts(
    queries: Queries, dependencies: Dependencies, shown: Iterable[Session], caller: Caller, now: datetime
) -> dict[str, MemberContext]:
    """What is known about the rooms of those sessions that the caller might rebook, by id. Usually empty (MISS-4)."""
    rooms = {
        session.booked.room_id
        for session in shown
        if session.status == "provider_missed"
        and now < rebookable_until(session)
        and reader_of(session, caller) == "member"
    }
    return await read_member_contexts(queries, dependencies.policies, rooms, now) if rooms else {}


async def session_answer_with_context(
    unit: UnitOfWork, dependencies: Dependencies, mutation: Mutation, session: Session
) -> Response:
    """As `session_answer`, for a session that the provider may already have missed."""
    contexts = await member_contexts(unit, dependencies, [session], mutation.caller, unit.now)
    return session_answer(mutation, 200, session, context=contexts.get(session.booked.room_id))


def session_answer(
    mutation: Mutation, status: int, session: Session, location: str | None = None, context: MemberContext | None = None
) -> Response:
    """A session as the answer to a change."""
    view = SessionView.of(session, reader_of(session, mutation.caller), mutation.now, context=context)
    return mutation.answer(status, view, version=session.version, location=location)


def reader_of(session: Session, caller: Caller) -> Reader:
    """The role in which the caller, who may see the session, reads it."""
    booked, who = session.booked, caller.subject
    if who == booked.member_id and "member" in caller.roles:
        return "member"
    if who == booked.provider_id and "provider" in caller.roles:
        return "provider"
    return "support"
