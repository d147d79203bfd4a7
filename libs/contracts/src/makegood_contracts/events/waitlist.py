"""`booking.waitlist.v1`: whether members who are first in line could book a slot (AVAIL-6)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from makegood_contracts.events.base import Event
from makegood_contracts.reasons import Obstacle
from makegood_contracts.topics import WAITLIST, Topic


class WaitlistCandidateJudged(Event, frozen=True, kw_only=True):
    """Booking's answer to a proposal. `reasons`: why the member could not book the slot; empty if they could.

    `next_starts_at`: the first later start that they could book, if there is one.
    """

    topic: ClassVar[Topic] = WAITLIST

    proposal_id: str
    entry_id: str
    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    reasons: tuple[Obstacle, ...] = ()
    next_starts_at: datetime | None = None
