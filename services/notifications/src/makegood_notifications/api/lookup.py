"""The room or session that a request is about. If it is new, its event may not have arrived yet, so the request waits a
moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, Role
from makegood_contracts.ids import is_id, is_just_made

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.plans import Enrolment
from makegood_notifications.store import plans, read_models
from makegood_notifications.store.read_models import Room, Session

T = TypeVar("T")

NEWS_LAG: Final = 1.0
"""Seconds that a request waits for the event of something that was created a moment ago."""


async def room_of(
    dependencies: Dependencies, room_id: str, access: Access, *, to_write: bool = False
) -> tuple[Room, Role]:
    """The room and the caller's role in it, if the caller is one of its parties. `to_write`: waits a moment if the room
    is closed, because the event that restarts it may not have arrived yet (ROOM-1).
    """
    if not is_id(room_id):
        raise not_found("room")
    room_id = room_id.lower()

    async def look() -> Room | None:
        async with dependencies.database.reading() as queries:
            return await read_models.find_room(queries, room_id)

    room = await _news(dependencies, f"room:{room_id}", look, wait=is_just_made(room_id))
    if room is None:
        raise not_found("room")
    role = access.require("room", member_id=room.member_id, provider_id=room.provider_id)
    if to_write and room.status == "closed":

        async def reopened() -> Room | None:
            found = await look()
            return None if found is None or found.status == "closed" else found

        room = await _news(dependencies, f"room:{room_id}", reopened, wait=True) or room
    return room, role


async def session_of(
    dependencies: Dependencies, session_id: str, access: Access, *, settled: bool = False
) -> tuple[Session, Role]:
    """The session as this service knows it from its reservation on, if the caller is one of its parties. `settled`:
    waits a moment if it is not confirmed, because that event may not have arrived yet.
    """
    if not is_id(session_id):
        raise not_found("session")
    session_id = session_id.lower()

    async def look() -> Session | None:
        async with dependencies.database.reading() as queries:
            return await read_models.find_session(queries, session_id)

    session = await _news(dependencies, f"session:{session_id}", look, wait=is_just_made(session_id))
    if session is None:
        raise not_found("session")
    role = access.require("session", member_id=session.member_id, provider_id=session.provider_id)
    if settled and session.status == "reserved":

        async def answered() -> Session | None:
            found = await look()
            return None if found is None or found.status == "reserved" else found

        session = await _news(dependencies, f"session:{session_id}", answered, wait=True) or session
    return session, role


async def enrolments_of(dependencies: Dependencies, member_id: str) -> list[Enrolment]:
    """The member's enrolments, latest first. If there are none, waits a moment for the event of one."""

    async def look() -> list[Enrolment] | None:
        async with dependencies.database.reading() as queries:
            return await plans.enrolments_of(queries, member_id) or None

    return await _news(dependencies, f"plan:{member_id}", look, wait=True) or []


async def _news(
    dependencies: Dependencies, key: str, look: Callable[[], Awaitable[T | None]], *, wait: bool
) -> T | None:
    found = await look()
    if found is not None or not wait:
        return found
    async with dependencies.signals.waiting(key) as waiter:
        await waiter.result(NEWS_LAG, look, every=0.05)
    return await look()
