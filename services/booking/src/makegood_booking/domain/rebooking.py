"""MISS-4: after a session that the provider missed, the member books the same kind again, in the same room.

A miss gives one right, and one booking uses it up. A booking that failed through no fault of the member uses up none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from makegood_contracts.events import Modality, RoomRestarted

from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rooms import Room, restart_room
from makegood_booking.domain.session import Session, SessionStatus

RIGHT: Final = timedelta(days=30)
"""How long the member can rebook, from the miss or its correction on: as long as the credit that was made good is
valid.
"""


@dataclass(frozen=True, slots=True)
class PastBooking:
    """One booking of a room, as far as rebooking is concerned.

    `length_minutes` leaves out extensions, because the credit did not pay for them (EXT-1).
    """

    session_id: str
    length_minutes: int
    modality: Modality
    requested_at: datetime
    status: SessionStatus
    given_up: bool
    missed_at: datetime | None

    @property
    def rebookable_until(self) -> datetime | None:
        """When the right to rebook it ends. None if the provider did not miss it."""
        return None if self.missed_at is None else self.missed_at + RIGHT

    @property
    def failed(self) -> bool:
        """Whether it did not take place, for a reason other than the member's own choice."""
        return self.status in ("rejected", "declined", "expired") or (self.status == "cancelled" and not self.given_up)

    def is_of(self, length_minutes: int, modality: Modality) -> bool:
        return (self.length_minutes, self.modality) == (length_minutes, modality)


@dataclass(frozen=True, slots=True)
class RebookingContext:
    """A room, and what decides whether a booking opens it again."""

    room: Room
    provider_available: bool
    another_room: bool
    """Whether the two share another room that is active."""
    rights: Sequence[PastBooking] = ()
    """What can still be rebooked in it."""


def rights(booked: Iterable[PastBooking], now: datetime) -> list[PastBooking]:
    """What can still be rebooked, of everything that was ever booked in a room.

    Each booking used up one right of its kind that existed then: the one that would have lapsed first.
    """
    everything = sorted(booked, key=lambda each: each.requested_at)
    missed = sorted((each for each in everything if each.missed_at is not None), key=_until)
    for again in everything:
        if again.failed:
            continue
        for right in missed:
            if right.is_of(again.length_minutes, again.modality) and _stood(right, again.requested_at):
                missed.remove(right)
                break
    return [right for right in missed if now < _until(right)]


def _until(right: PastBooking) -> datetime:
    assert right.rebookable_until is not None
    return right.rebookable_until


def _stood(right: PastBooking, moment: datetime) -> bool:
    return _until(right) - RIGHT <= moment < _until(right)


def rebookable_until(session: Session) -> datetime:
    """When the right to rebook a missed session ends. For a miss that an earlier release found, the start counts."""
    return (session.missed_at or session.booked.starts_at) + RIGHT


def reopens(place: RebookingContext, length_minutes: int, modality: Modality) -> bool:
    """Whether a member's booking opens again a room that is not open.

    It does if it rebooks something that was missed in the room, if the member has not closed the room since, and if
    therapy can continue there.
    """
    if place.room.closed_by == "member" and place.room.status == "closed":
        return False
    if not place.provider_available or place.another_room:
        return False
    return any(right.is_of(length_minutes, modality) for right in place.rights)


def reopens_room_now(before: Session, after: Session) -> bool:
    """Whether this change reserved a session that opens its room again."""
    return after.reopens_room and before.status == "requested" and after.status in ("reserved", "confirmed")


def reopened(room: Room, active_at: datetime, policy: Policy, now: datetime) -> tuple[Room, RoomRestarted] | None:
    """The room as a rebooking opens it again once it is reserved.

    None if it is open already, or the member has closed it in the meantime.
    """
    if room.closed_by == "member" and room.status == "closed":
        return None
    outcome = restart_room(
        room,
        active_at,
        policy,
        now,
        plan_kind=None,
        sessions_left=True,
        provider_available=True,  # the slot is held
        another_room=False,  # else the room cannot be saved
    )
    return None if isinstance(outcome, str) or outcome[1] is None else (outcome[0], outcome[1])
