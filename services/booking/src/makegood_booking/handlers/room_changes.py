"""ROOM-3: what lies ahead in a room that its member left for another provider is cancelled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import DeadlineHandlers, Due
from makegood_chassis.signals import Signals
from makegood_contracts.events import Actor

from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.session import Session
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store.rooms import lock_room
from makegood_booking.store.sessions import Sessions

ROOM_LEFT: Final = "room-left"
LOOKS_AGAIN_AFTER: Final = timedelta(minutes=1)
"""A booking that had read the room before it was left commits within its request's deadline; then it is found here."""


async def call_off_ahead(
    ahead: Sequence[Session],
    by: Actor,
    sessions: Sessions,
    signals: Signals,
    unit: UnitOfWork,
    forfeited: Collection[str] = (),
) -> None:
    """Cancels the sessions that lie ahead in a room, which are locked in this unit; without loss but those `forfeited`, which the
    member gives up, whoever asked for it."""
    called_off = [
        call_off(session, "member", "change_of_provider", unit.now, forfeits=True)
        if session.id in forfeited
        else call_off(session, by, "change_of_provider", unit.now)
        for session in ahead
    ]
    await sessions.save([(changed, unit.cause) for changed in called_off if changed.events], unit)
    wake_waiters(ahead, [changed.session for changed in called_off], signals, unit)


def room_deadlines(sessions: Sessions, signals: Signals) -> DeadlineHandlers:
    """Deadline kind → handler."""

    async def handle(due: Sequence[Due], unit: UnitOfWork) -> None:
        for room_id in sorted({deadline.entity_id for deadline in due}):
            room = await lock_room(room_id, unit)
            if room is not None and room.status == "closed":
                ahead = await sessions.lock_ahead(room.id, room.member_id, unit)
                # What rebooks a missed session is to open the room again (MISS-4): it did not slip in.
                ahead = [session for session in ahead if not (session.reopens_room and session.status == "requested")]
                await call_off_ahead(ahead, "system", sessions, signals, unit)

    return {ROOM_LEFT: handle}
