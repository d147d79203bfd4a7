"""NOTE-5: who is erased has nothing ahead any more: their rooms close, and their sessions are cancelled without loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import DeadlineHandlers, Due, EventHandler
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import Party, PersonErased

from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.rooms import Room, close_room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.bookability import has_schedule
from makegood_booking.handlers.room_changes import LOOKS_AGAIN_AFTER
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store import calendars, personal_data, remark_keys, rooms
from makegood_booking.store.sessions import Sessions

ERASED: Final = "person-erased"
"""Deadline of a person: what was booked while they were being erased is cancelled, too, and a room that opened again closes."""


def erases(sessions: Sessions, signals: Signals) -> EventHandler:
    """The handler of erasures. What a person wrote about sessions, and what was written about them, goes as well."""

    async def handle(batch: Sequence[Received[PersonErased]], unit: UnitOfWork) -> None:
        people = {received.event.person_id: received.cause for received in batch}
        await personal_data.erase(list(people), unit)
        await erase_remarks(unit, list(people))
        await remark_keys.erase(list(people), unit)
        await calendars.withdraw_known(list(people), unit)  # availability says so later, and may be away for long
        await _close_rooms(await rooms.lock_active_of(list(people), unit), people, unit)
        await _call_off_ahead(people, sessions, signals, unit)
        for person_id in people:
            unit.set_deadline(ERASED, person_id, unit.now + LOOKS_AGAIN_AFTER)

    return handle


def erasure_deadlines(sessions: Sessions, signals: Signals) -> DeadlineHandlers:
    """Deadline kind → handler."""

    async def handle(due: Sequence[Due], unit: UnitOfWork) -> None:
        people = {one.entity_id: unit.cause for one in due}
        gone = {person for person in people if not await has_schedule(person, unit.now, unit)}
        reopened = [room for room in await rooms.lock_active_of(gone, unit) if room.provider_id in gone]
        await _close_rooms(reopened, people, unit)
        await _call_off_ahead(people, sessions, signals, unit)

    return {ERASED: handle}


async def _close_rooms(active: Sequence[Room], people: Mapping[str, Cause], unit: UnitOfWork) -> None:
    """Closes these people's rooms, which are locked in this unit."""
    for room in active:
        by: Party = "provider" if room.provider_id in people else "member"
        closed, event = close_room(room, unit.now, erased=by)
        assert event is not None
        await rooms.save_room(closed, unit)
        cause = people[room.provider_id if by == "provider" else room.member_id]
        unit.publish(event, sequence=closed.version, cause=cause)


async def _call_off_ahead(people: dict[str, Cause], sessions: Sessions, signals: Signals, unit: UnitOfWork) -> None:
    """Cancels what lies ahead of these people in rooms that are closed."""
    ahead = await sessions.lock_ahead_of(list(people), unit)
    called_off = [
        (
            call_off(
                session, "system", "provider_erased" if _provider(session) in people else "member_erased", unit.now
            ),
            people.get(_provider(session)) or people[session.booked.member_id],
        )
        for session in ahead
    ]
    await sessions.save([(changed, cause) for changed, cause in called_off if changed.events], unit)
    wake_waiters(ahead, [changed.session for changed, _ in called_off], signals, unit)


def _provider(session: Session) -> str:
    return session.booked.provider_id
