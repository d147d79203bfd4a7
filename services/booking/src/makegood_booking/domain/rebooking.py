"""MISS-4: after a session that the provider missed, the member books the same again, in the same room."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from makegood_contracts.events import Modality, RoomRestarted

from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rooms import Room, restart_room
from makegood_booking.domain.session import Refusal, Session

RIGHT: Final = timedelta(days=30)
"""So long the member can rebook, from the start of the missed session on: as long as the credit that was made good is valid."""
_TOO_LATE: Final = Refusal("session-over", f"A missed session can be rebooked for {RIGHT.days} days.")


@dataclass(frozen=True, slots=True)
class Place:
    """A room, and what it takes to go on in it. `active_at`: when its member was last active, in any room."""

    room: Room
    active_at: datetime
    provider_available: bool
    another_room: bool
    """Whether the two share another room that is active."""


def rebookable_until(session: Session) -> datetime:
    """When the right to rebook a missed session is over."""
    return session.booked.starts_at + RIGHT


def rebook_refused(session: Session, now: datetime) -> Refusal | None:
    """Why the member cannot book again what the provider missed, if so."""
    if session.status != "provider_missed":
        return Refusal("session-over", "Only a session that the provider missed can be rebooked.")
    return None if now < rebookable_until(session) else _TOO_LATE


def rebooks(length_minutes: int, modality: Modality, missed: Session, now: datetime) -> bool:
    """Whether a session of this kind is what the provider missed. An extension of it was beside what its credit paid for
    (EXT-1)."""
    booked = missed.booked
    same = (length_minutes, modality) == (booked.length_minutes - missed.extended_minutes, booked.modality)
    return same and rebook_refused(missed, now) is None


def reopened(
    place: Place, length_minutes: int, modality: Modality, missed: Collection[Session], policy: Policy, now: datetime
) -> tuple[Room, RoomRestarted] | None:
    """The room as a member's booking opens it again: it rebooks one of the sessions that were `missed` in it, and it was not
    the member who closed the room since. None: the booking opens nothing."""
    if place.room.closed_by == "member" and place.room.status == "closed":
        return None
    if not any(rebooks(length_minutes, modality, session, now) for session in missed):
        return None
    outcome = restart_room(
        place.room,
        place.active_at,
        policy,
        now,
        plan_kind=None,
        sessions_left=True,
        provider_available=place.provider_available,
        another_room=place.another_room,
    )
    if isinstance(outcome, str) or outcome[1] is None:
        return None
    return outcome[0], outcome[1]
