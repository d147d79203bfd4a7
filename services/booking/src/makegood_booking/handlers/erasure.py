"""NOTE-5: nothing of an erased person remains in the future. Their rooms close, and their sessions are cancelled
without loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_chassis.states.erasure import erase_states
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import Party, PersonErased

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.rooms import Room, close_room
from makegood_booking.domain.session import Session
from makegood_booking.handlers.bookability import has_schedule
from makegood_booking.handlers.room_changes import LOOKS_AGAIN_AFTER
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store import calendars, personal_data, remark_keys, rooms
from makegood_booking.store.sessions import lock_ahead_of, save_sessions

PERSON_ERASED: Final = "person-erased"
"""The deadline of an erased person. What was booked during the erasure is cancelled too, and a room that opened again
is closed.
"""


async def on_person_erased(
    batch: Sequence[Received[PersonErased]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Closes rooms and cancels future sessions. Erases what the person wrote about sessions, and what was written about
    them.
    """
    people = {received.event.person_id: received.cause for received in batch}
    await personal_data.erase(unit, list(people))
    await erase_remarks(unit, list(people))
    await erase_states(unit, list(people))
    await remark_keys.erase(unit, list(people))
    await calendars.withdraw_known(unit, list(people))  # availability reports it later, and may be down for a long time
    await _close_rooms(unit, await rooms.lock_active_of(unit, list(people)), people)
    await _call_off_ahead(unit, dependencies, people)
    for person_id in people:
        unit.set_deadline(PERSON_ERASED, person_id, unit.now + LOOKS_AGAIN_AFTER)


async def on_person_erased_due(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Repeats the erasure for everything that arrived in the meantime."""
    people = {one.entity_id: unit.cause for one in due}
    gone = {person for person in people if not await has_schedule(unit, person, unit.now)}
    reopened = [room for room in await rooms.lock_active_of(unit, gone) if room.provider_id in gone]
    await _close_rooms(unit, reopened, people)
    await _call_off_ahead(unit, dependencies, people)


async def _close_rooms(unit: UnitOfWork, active: Sequence[Room], people: Mapping[str, Cause]) -> None:
    """Closes these people's rooms, which are locked in this unit."""
    for room in active:
        by: Party = "provider" if room.provider_id in people else "member"
        closed, event = close_room(room, unit.now, erased=by)
        assert event is not None
        await rooms.save_room(unit, closed)
        cause = people[room.provider_id if by == "provider" else room.member_id]
        unit.publish(event, sequence=closed.version, cause=cause)


async def _call_off_ahead(unit: UnitOfWork, dependencies: Dependencies, people: Mapping[str, Cause]) -> None:
    """Cancels the future sessions of these people in closed rooms."""
    ahead = await lock_ahead_of(unit, dependencies.policies, list(people))
    called_off = [
        (
            call_off(
                session, "system", "provider_erased" if _provider(session) in people else "member_erased", unit.now
            ),
            people.get(_provider(session)) or people[session.booked.member_id],
        )
        for session in ahead
    ]
    save_sessions(unit, [(changed, cause) for changed, cause in called_off if changed.events])
    wake_waiters(unit, dependencies.signals, ahead, [changed.session for changed, _ in called_off])


def _provider(session: Session) -> str:
    return session.booked.provider_id
