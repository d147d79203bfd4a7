"""MISS-4: a room that is not open opens again once its member's booking of what the provider missed there is reserved."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause

from makegood_booking.domain.rebooking import reopened
from makegood_booking.domain.session import Session
from makegood_booking.store.policies import Policies
from makegood_booking.store.rooms import lock_room, read_rooms, save_room


def reserved_now(before: Session, after: Session) -> bool:
    """Whether this very change reserved a session that is to open its room."""
    return after.reopens_room and before.status == "requested" and after.status in ("reserved", "confirmed")


async def reopen_rooms(reserved: Sequence[tuple[Session, Cause]], policies: Policies, unit: UnitOfWork) -> None:
    """Opens the rooms of these sessions, unless they are open again already or the pair has another one that is."""
    for session, cause in sorted(reserved, key=lambda each: each[0].booked.room_id):
        room = await lock_room(session.booked.room_id, unit)
        if room is None:
            continue
        active_at = (await read_rooms([room.id], unit))[room.id].active_at
        opened = reopened(room, active_at, await policies.current(unit), unit.now)
        if opened is not None and await save_room(opened[0], unit):
            unit.publish(opened[1], sequence=opened[0].version, cause=cause)
