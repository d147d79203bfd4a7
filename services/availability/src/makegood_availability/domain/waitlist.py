"""The waitlist: who is first in line for a slot that opens, and how long it is held for them (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_calendar.hours import Span
from makegood_calendar.offers import IN_PERSON, NOT_THIS_KIND, Offer, Schedule, Venue
from makegood_calendar.slots import Busy, free_starts, window
from makegood_contracts.events import Modality

OFFER: Final = timedelta(minutes=120)
"""How long an offer is held by the first policy, unless its slot can be booked for a shorter time only."""
LONGEST_WAIT: Final = timedelta(days=92)
MOST_WISHES: Final = 5
"""Open entries of one room: enough to name the times that would do, and no way to fill a provider's line alone."""
LOOK_AGAIN: Final = timedelta(days=1)
"""How often somebody who waits beyond the provider's horizon is looked after: each day more comes within it."""

Status = Literal["waiting", "offered", "booked", "lapsed"]

_ANY_VENUE: Final = "any"


@dataclass(frozen=True, slots=True)
class Held:
    """A slot that is held for an entry until `lapses_at`."""

    starts_at: datetime
    ends_at: datetime
    lapses_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A member waits for a time that starts in [waits_from, waits_until). The line's order is that of the ids.

    `session_id`: the booking that takes the offer; it is not decided yet.
    """

    id: str
    room_id: str
    provider_id: str
    member_id: str
    waits_from: datetime
    waits_until: datetime
    length_minutes: int
    modality: Modality
    status: Status
    offer: Held | None = None
    session_id: str | None = None

    @property
    def looked_at(self) -> datetime:
        """When something happens to the entry by itself: its offer lapses, or its time has passed."""
        return self.waits_until if self.offer is None else self.offer.lapses_at


def joins(wish: Entry, standing: Sequence[Entry]) -> Entry | Literal["full"]:
    """The entry with which the member waits: that of the same wish if one stands, else the new one. AVAIL-6

    `standing`: the room's open entries. `full`: there are as many as a room may have.
    """
    for entry in standing:
        if _wanted(entry) == _wanted(wish):
            return entry
    return wish if len(standing) < MOST_WISHES else "full"


def _wanted(entry: Entry) -> tuple[object, ...]:
    return entry.waits_from, entry.waits_until, entry.length_minutes, entry.modality


def kind_offered(entry: Entry, schedule: Schedule, now: datetime) -> bool:
    """Whether the provider offers sessions of this length and modality at all."""
    return NOT_THIS_KIND not in _judged(entry, schedule, (), now).kind_refusals


def still_stands(entry: Entry, offer: Held, schedule: Schedule, time_off: Sequence[Span], now: datetime) -> bool:
    """Whether what was offered could still be booked; hours or time off may have changed since. One that is due lapses."""
    return offer.lapses_at <= now or not _judged(entry, schedule, time_off, now).refusals(offer.starts_at)


def first_fit(
    entry: Entry, schedule: Schedule, time_off: Sequence[Span], busy: Busy, now: datetime, held_for: timedelta = OFFER
) -> Held | None:
    """The first slot that fits the wish and that nobody has, or None; `held_for` is the policy's. AVAIL-6"""
    offer = _judged(entry, schedule, time_off, now)
    within = window(offer, entry.waits_from, entry.waits_until)
    if within is None:
        return None
    for start in free_starts(offer, within, busy):
        lapses_at = min(now + held_for, start - schedule.minimum_notice)
        if lapses_at > now:
            return Held(start, start + offer.length, lapses_at)
    return None


def next_look(entries: Sequence[Entry], schedule: Schedule, now: datetime) -> datetime | None:
    """When more of what these wait for comes within the provider's horizon, or None where all of it is within."""
    first = [entry.waits_from - schedule.horizon for entry in entries if entry.waits_until > now + schedule.horizon]
    return min((moment if moment > now else now + LOOK_AGAIN for moment in first), default=None)


def _judged(entry: Entry, schedule: Schedule, time_off: Sequence[Span], now: datetime) -> Offer:
    # Which venue a session in person takes is chosen when the offer is accepted.
    in_person = entry.modality == IN_PERSON
    return Offer(
        schedule,
        time_off,
        Venue() if in_person else None,
        length_minutes=entry.length_minutes,
        modality=entry.modality,
        venue_id=_ANY_VENUE if in_person else None,
        now=now,
    )
