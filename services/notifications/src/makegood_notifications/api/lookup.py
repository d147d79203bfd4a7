"""The room or session that a request is about. If it is new, its event may not have arrived yet, so the request waits a
moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Literal, TypeVar

from makegood_chassis.database import Queries
from makegood_chassis.http.problems import not_found, valid_id
from makegood_chassis.http.rights import Access, Role
from makegood_contracts.ids import is_just_made

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.plans import Enrolment
from makegood_notifications.store import plans, read_models
from makegood_notifications.store.chat import Chat, find_chat
from makegood_notifications.store.read_models import Room, Session

T = TypeVar("T")
E = TypeVar("E", Room, Chat, Session)

EVENT_LAG: Final = 1.0
"""Seconds that a request waits for the event of something that was created a moment ago."""


async def room_of(
    dependencies: Dependencies, room_id: str, access: Access, *, to_write: bool = False
) -> tuple[Room, Role]:
    """The room and the caller's role in it, if the caller is one of its parties. `to_write`: waits a moment if the room
    is closed, because the event that restarts it may not have arrived yet (ROOM-1).
    """
    stale = "closed" if to_write else None
    return await _of_party(dependencies, "room", room_id, access, read_models.find_room, stale)


async def chat_of(
    dependencies: Dependencies, room_id: str, access: Access, *, before: str | None, limit: int
) -> tuple[Chat, Role]:
    """As `room_of`, with the newest `limit` messages older than the message `before`, all in one statement."""
    find = partial(find_chat, before=before, limit=limit)
    return await _of_party(dependencies, "room", room_id, access, find, None)


async def session_of(
    dependencies: Dependencies, session_id: str, access: Access, *, settled: bool = False
) -> tuple[Session, Role]:
    """The session as this service knows it from its reservation on, if the caller is one of its parties. `settled`:
    waits a moment if it is not confirmed, because that event may not have arrived yet.
    """
    stale = "reserved" if settled else None
    return await _of_party(dependencies, "session", session_id, access, read_models.find_session, stale)


async def enrolments_of(dependencies: Dependencies, member_id: str) -> list[Enrolment]:
    """The member's enrolments, latest first. If there are none, waits a moment for the event of one."""

    async def look() -> list[Enrolment] | None:
        async with dependencies.database.reading() as queries:
            return await plans.enrolments_of(queries, member_id) or None

    return await _arrived(dependencies, f"plan:{member_id}", look, wait=True) or []


async def _of_party(
    dependencies: Dependencies,
    kind: Literal["room", "session"],
    entity_id: str,
    access: Access,
    find: Callable[[Queries, str], Awaitable[E | None]],
    stale: str | None,
) -> tuple[E, Role]:
    """What `find` returns, if the caller is one of its parties. Waits a moment if it has the status `stale`."""
    entity_id = valid_id(entity_id, kind)
    key = f"{kind}:{entity_id}"

    async def look() -> E | None:
        async with dependencies.database.reading() as queries:
            return await find(queries, entity_id)

    async def look_for_change() -> E | None:
        changed = await look()
        return None if changed is None or changed.status == stale else changed

    found = await _arrived(dependencies, key, look, wait=is_just_made(entity_id))
    if found is None:
        raise not_found(kind)
    role = access.require(kind, member_id=found.member_id, provider_id=found.provider_id)
    if found.status == stale:
        found = await _arrived(dependencies, key, look_for_change, wait=True) or found
    return found, role


async def _arrived(
    dependencies: Dependencies, key: str, look: Callable[[], Awaitable[T | None]], *, wait: bool
) -> T | None:
    found = await look()
    if found is not None or not wait:
        return found
    async with dependencies.signals.waiting(key) as waiter:
        await waiter.result(EVENT_LAG, look, every=0.05)
    return await look()
