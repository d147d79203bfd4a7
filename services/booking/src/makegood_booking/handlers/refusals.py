"""Why a command was refused, if the chassis has no such refusal. The API answers each with its problem
(`api/refusals.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from makegood_chassis.refusals import CommandRefused, FieldRefused
from makegood_contracts.events import Actor
from makegood_contracts.reasons import Reason

from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.remedies import RemedyContext
from makegood_booking.domain.rooms import RestartRefusal
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_booking.store.rooms import RoomToBook


class SessionRefused(CommandRefused):
    """A rule forbids this command on the session, as it is at `now`."""

    def __init__(self, refusal: Refusal, session: Session, now: datetime) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.session = session
        self.now = now


class BookingRefused(CommandRefused):
    """Nothing can be booked in this room now (BOOK-7), or support may not book it (BOOK-6)."""

    def __init__(self, place: RoomToBook, booked_by: Actor, reasons: Sequence[Reason]) -> None:
        super().__init__(place.room.id)
        self.place = place
        self.booked_by = booked_by
        self.reasons = reasons


class NoSchedule(CommandRefused):
    """A room needs a provider who has a schedule (ROOM-1, ROOM-3)."""


class RestartRefused(CommandRefused):
    """Therapy cannot be restarted in this room (ROOM-1, ROOM-2)."""

    def __init__(self, refusal: RestartRefusal, context: RemedyContext) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.context = context


class ForfeitNotAccepted(CommandRefused):
    """A change of provider would forfeit the credits of these sessions (ROOM-3)."""

    def __init__(self, sessions: Sequence[Session], now: datetime) -> None:
        super().__init__(len(sessions))
        self.sessions = sessions
        self.now = now


class TryAgain(CommandRefused):
    """Another request changed the same thing at the same moment. The command succeeds if it is repeated."""


def permitted(result: Transition | Refusal | InvalidField, session: Session, now: datetime) -> Transition:
    """The transition, if the rule permits it. Otherwise raises the refusal."""
    if isinstance(result, InvalidField):
        raise FieldRefused(result.field, result.detail)
    if isinstance(result, Refusal):
        raise SessionRefused(result, session, now)
    return result
