"""`availability.reservations.v1`: slots held, refused and released for sessions."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.reasons import Reason
from makegood_contracts.topics import RESERVATIONS, Topic

ReleaseCause = Literal[
    "rejected", "declined", "expired", "cancelled", "completed", "provider_missed", "member_no_show", "lapsed"
]


class SlotFact(Event, frozen=True, kw_only=True):
    """What every event of a slot says. The slot is [starts_at, ends_at) of the provider's time, buffers not included."""

    topic: ClassVar[Topic] = RESERVATIONS

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None = None
    starts_at: datetime
    ends_at: datetime


class SlotHeld(SlotFact, frozen=True, kw_only=True):
    """The slot is set aside for the session; nothing that overlaps can be held until it is released (AVAIL-3)."""

    hold_until: datetime
    blocked_from: datetime | None = None
    blocked_until: datetime | None = None
    """The provider's time that it takes, buffers included."""


class SlotRefused(SlotFact, frozen=True, kw_only=True):
    """The slot could not be held."""

    reasons: list[Reason]


class SlotReleased(SlotFact, frozen=True, kw_only=True):
    """The hold is over. `reopened`: some of the slot still lies ahead, so others can book it (CANC-3)."""

    cause: ReleaseCause
    reopened: bool


class SlotMoved(SlotFact, frozen=True, kw_only=True):
    """The hold stands at another time, length or venue, from one step to the next (RESC-1, EXT-1); the facts are the new ones."""

    move_id: str
    old_starts_at: datetime
    old_ends_at: datetime
    old_venue_id: str | None = None
    blocked_from: datetime
    blocked_until: datetime


class SlotMoveRefused(SlotFact, frozen=True, kw_only=True):
    """The hold stays where it was; the facts are those of the hold as it stands (RESC-1, RESC-2)."""

    move_id: str
    reasons: list[Reason]
