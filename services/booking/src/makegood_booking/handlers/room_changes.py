"""Cancels the future sessions in a room whose member has changed to another provider (ROOM-3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_chassis.signals import Signals
from makegood_contracts.events import Actor

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.session import Session
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store.rooms import lock_room
from makegood_booking.store.sessions import lock_ahead, save_sessions

ROOM_LEFT: Final = "room-left"
LOOKS_AGAIN_AFTER: Final = timedelta(minutes=1)
"""The delay of the second look: a booking that read the room before it was left has committed by then."""


async def call_off_ahead(
    unit: UnitOfWork,
    signals: Signals,
    ahead: Sequence[Session],
    by: Actor,
    forfeited: Collection[str] = (),
) -> None:
    """Cancels the future sessions in a room, which are locked in this unit. The member loses nothing, except for the
    sessions in `forfeited`, whoever requested the change.
    """
    called_off = [
        call_off(session, "member", "change_of_provider", unit.now, forfeits=True)
        if session.id in forfeited
        else call_off(session, by, "change_of_provider", unit.now)
        for session in ahead
    ]
    save_sessions(unit, [(changed, unit.cause) for changed in called_off if changed.events])
    wake_waiters(unit, signals, ahead, [changed.session for changed in called_off])


async def on_room_left_due(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Cancels what was booked in a room while its member was leaving it."""
    for room_id in sorted({deadline.entity_id for deadline in due}):
        room = await lock_room(unit, room_id)
        if room is not None and room.status == "closed":
            ahead = await lock_ahead(unit, dependencies.policies, room.id, room.member_id)
            # A rebooking of a missed session is meant to open the room again (MISS-4), so it stays.
            ahead = [session for session in ahead if not (session.reopens_room and session.status == "requested")]
            await call_off_ahead(unit, dependencies.signals, ahead, "system")
