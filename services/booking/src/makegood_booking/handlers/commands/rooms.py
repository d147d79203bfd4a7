"""Commands of the API on rooms: lock → rule → save → wake.

`admit` returns the actor as whom the caller changes the room. It raises if the room is not theirs, or has changed since
they read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.refusals import FieldRefused, NotFound
from makegood_contracts.events import Actor
from makegood_contracts.ids import new_id

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain import rooms as rules
from makegood_booking.domain.attendance import as_of
from makegood_booking.domain.cancelling import forfeits_now
from makegood_booking.domain.remedies import RemedyContext
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.bookability import has_schedule, remedy_context_of
from makegood_booking.handlers.refusals import (
    ForfeitNotAccepted,
    NoSchedule,
    RestartRefused,
    TryAgain,
)
from makegood_booking.handlers.room_changes import LOOKS_AGAIN_AFTER, ROOM_LEFT, call_off_ahead
from makegood_booking.handlers.waiters import schedule_key
from makegood_booking.store import rooms as store
from makegood_booking.store.calendars import read_schedule
from makegood_booking.store.sessions import lock_ahead

Admit = Callable[[Room], Actor]


async def wait_for_schedule(dependencies: Dependencies, provider_id: str) -> None:
    """Returns once booking knows a schedule of the provider, or is unlikely to get one. Holds no transaction while it
    waits. A mistyped id looks like a provider whose first schedule has not arrived yet: only time can tell them apart.
    """

    async def look() -> bool | None:
        async with dependencies.database.reading() as queries:
            return True if await read_schedule(queries, provider_id) else None

    if await look() is None:
        async with dependencies.signals.waiting(schedule_key(provider_id)) as waiter:
            await waiter.result(dependencies.schedule_patience, look)


async def open_room(unit: UnitOfWork, member_id: str, provider_id: str) -> tuple[Room, bool]:
    """The pair's active room, and whether it was just opened (ROOM-1)."""
    await _require_schedule(unit, provider_id)
    return await _open(unit, member_id, provider_id)


async def close_room(unit: UnitOfWork, room_id: str, admit: Admit) -> Room:
    """Closes the room to new bookings. Sessions that are already booked are kept (ROOM-1)."""
    room = _known(await store.lock_room(unit, room_id))
    by = admit(room)
    room, closed = rules.close_room(room, unit.now, by)
    if closed is not None:
        await store.save_room(unit, room)
        unit.publish(closed, sequence=room.version)
    if by == "member":  # every change by the member counts as activity (ROOM-2)
        store.touch_rooms(unit, [room.id])
    return room


async def restart_room(unit: UnitOfWork, dependencies: Dependencies, room_id: str, admit: Admit) -> Room:
    """Continues therapy in a closed or inactive room (ROOM-1, ROOM-2)."""
    room = _known(await store.lock_room(unit, room_id))
    admit(room)
    policy = await dependencies.policies.current(unit)
    place = (await store.read_rooms(unit, [room_id]))[room_id]
    context = RemedyContext(room.id, room.member_id, room.provider_id)
    context = await remedy_context_of(unit, context, unit.now)
    result = rules.restart_room(
        room,
        place.active_at,
        policy,
        unit.now,
        plan_kind=context.plan_kind,
        sessions_left=context.sessions_left,
        provider_available=context.provider_available,
        another_room=context.active_room_id is not None,
    )
    if isinstance(result, str):
        raise RestartRefused(result, context)
    room, restarted = result
    if restarted is not None:
        if not await store.save_room(unit, room):  # the pair opened another room at the same moment
            raise RestartRefused("another-room", await remedy_context_of(unit, context, unit.now))
        unit.publish(restarted, sequence=room.version)
    return room


async def await_new_provider(dependencies: Dependencies, room_id: str, provider_id: str, admit: Admit) -> None:
    """Before `change_provider`: waits for the new provider's first schedule, unless the change is refused anyway."""
    async with dependencies.database.reading() as queries:
        _admit_change(await store.read_room(queries, room_id), provider_id, admit)
    await wait_for_schedule(dependencies, provider_id)


async def change_provider(
    unit: UnitOfWork,
    dependencies: Dependencies,
    room_id: str,
    provider_id: str,
    admit: Admit,
    *,
    accepts_forfeit: bool,
) -> tuple[Room, bool]:
    """The room with the new provider, and whether it was just opened (ROOM-3)."""
    room, by = _admit_change(await store.lock_room(unit, room_id), provider_id, admit)
    await _require_schedule(unit, provider_id)
    ahead = await lock_ahead(unit, dependencies.policies, room_id, room.member_id)
    # The change counts as the member's, whoever requests it, so that asking support does not avoid the notice (CANC-1).
    late = [session for session in ahead if forfeits_now(as_of(session, unit.now)[0], unit.now)]
    forfeited = await _forfeited(unit, dependencies, room, late, accepts_forfeit) if late else frozenset()
    new, opened = await _open(unit, room.member_id, provider_id)
    was_open = room.status == "active"
    room, closed = rules.close_room(room, unit.now, by)
    if closed is not None:
        unit.publish(closed, sequence=room.version)
    if was_open or opened:
        room, left = rules.leave_room(room, new, unit.now)
        unit.publish(left, sequence=room.version)
        await store.save_room(unit, room)
    cancelled_by: Actor = "member" if by == "member" else "system"
    await call_off_ahead(unit, dependencies.signals, ahead, cancelled_by, forfeited)
    unit.set_deadline(ROOM_LEFT, room.id, unit.now + LOOKS_AGAIN_AFTER)
    if by == "member":
        store.touch_rooms(unit, [new.id])
    return new, opened


def _known(room: Room | None) -> Room:
    if room is None:
        raise NotFound("room")
    return room


def _admit_change(found: Room | None, provider_id: str, admit: Admit) -> tuple[Room, Actor]:
    room = _known(found)
    by = admit(room)
    if provider_id in (room.provider_id, room.member_id):
        raise FieldRefused("provider_id", "Choose a provider other than the current one.")
    return room, by


async def _require_schedule(unit: UnitOfWork, provider_id: str) -> None:
    if not await has_schedule(unit, provider_id, unit.now):
        raise NoSchedule


async def _open(unit: UnitOfWork, member_id: str, provider_id: str) -> tuple[Room, bool]:
    """The pair's active room, and whether it was just opened."""
    room, opened = rules.open_room(new_id(), member_id, provider_id, unit.now)
    if await store.add_room(unit, room):
        unit.publish(opened, sequence=room.version)
        return room, True
    present = await store.active_room(unit, member_id, provider_id)
    if present is None:  # it was closed between the two statements
        raise TryAgain
    return present, False


async def _forfeited(
    unit: UnitOfWork, dependencies: Dependencies, room: Room, late: Sequence[Session], accepted: bool
) -> frozenset[str]:
    """Which sessions within the notice are forfeited (ROOM-3).

    None if this change is free; otherwise all, if the member accepts that.
    """
    policy = await dependencies.policies.current(unit)
    if policy.change_is_free(await store.lock_changes(unit, room.member_id), unit.now):
        await store.mark_left_free(unit, room.id)
        return frozenset()
    if not accepted:
        raise ForfeitNotAccepted(late, unit.now)
    return frozenset(session.id for session in late)
