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
    """The fields of every slot event. The slot is [starts_at, ends_at), without buffers."""

    topic: ClassVar[Topic] = RESERVATIONS

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None = None
    starts_at: datetime
    ends_at: datetime


class SlotHeld(SlotFact, frozen=True, kw_only=True):
    """The slot is held for the session. Nothing that overlaps it can be held until it is released (AVAIL-3)."""

    hold_until: datetime
    blocked_from: datetime | None = None
    blocked_until: datetime | None = None
    """The provider's blocked time ends here; `blocked_from` to `blocked_until` includes buffers."""


class SlotRefused(SlotFact, frozen=True, kw_only=True):
    """The slot could not be held."""

    reasons: list[Reason]


class SlotReleased(SlotFact, frozen=True, kw_only=True):
    """The hold ended. `reopened`: part of the slot is still ahead, so others can book it (CANC-3)."""

    cause: ReleaseCause
    reopened: bool


class SlotMoved(SlotFact, frozen=True, kw_only=True):
    """The hold moved in one step to another time, length or venue (RESC-1, EXT-1). Unless prefixed `old_`, fields have the
    new values."""

    move_id: str
    old_starts_at: datetime
    old_ends_at: datetime
    old_venue_id: str | None = None
    blocked_from: datetime
    blocked_until: datetime


class SlotMoveRefused(SlotFact, frozen=True, kw_only=True):
    """The hold stays as it was; fields have its present values (RESC-1, RESC-2)."""

    move_id: str
    reasons: list[Reason]
