"""MISS-4: a room that somebody else closed opens again when its member rebooks what the provider missed in it."""

from __future__ import annotations

from makegood_calendar.published import schedule_of
from makegood_chassis.database import UnitOfWork

from makegood_booking.domain.bookability import room_reasons
from makegood_booking.domain.booking import Wish
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rebooking import RIGHT, Place, reopened
from makegood_booking.domain.rooms import is_available
from makegood_booking.store.calendars import read_schedule
from makegood_booking.store.rooms import active_room, lock_room, read_rooms, save_room
from makegood_booking.store.sessions import Sessions


async def reopen(wish: Wish, policy: Policy, sessions: Sessions, unit: UnitOfWork) -> bool:
    """Opens the room again that the member wants to rebook in, if that is their right; whether it is open now."""
    room = await lock_room(wish.room_id, unit)
    if room is None:
        return False
    active_at = (await read_rooms([room.id], unit))[room.id].active_at
    if not room_reasons(room, active_at, policy, unit.now):
        return True  # another request was a moment faster
    missed = await sessions.read_missed(room.id, room.member_id, unit.now - RIGHT, unit)
    if not missed:
        return False
    published = await read_schedule(room.provider_id, unit)
    other = await active_room(room.member_id, room.provider_id, unit)
    place = Place(
        room,
        active_at,
        is_available(None if published is None else schedule_of(published), unit.now),
        another_room=other is not None and other.id != room.id,
    )
    opened = reopened(place, wish.length_minutes, wish.modality, missed, policy, unit.now)
    if opened is None or not await save_room(opened[0], unit):
        return False
    unit.publish(opened[1], sequence=opened[0].version)
    return True
