"""The waitlist: who is first in line for a slot that opens, and how long it is held for them (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import IN_PERSON, NOT_THIS_KIND, Schedule, SlotRules, Venue
from makegood_calendar.slots import Busy, free_starts, window
from makegood_contracts.events import Modality
from makegood_contracts.reasons import Obstacle

OFFER: Final = timedelta(minutes=120)
"""How long an offer is held by the first policy, unless its slot can be booked for a shorter time only."""
ANSWER_WITHIN: Final = timedelta(minutes=1)
"""So long booking may take to say whether a candidate could book; then the next in line is asked."""
ASK_AGAIN: Final = timedelta(hours=1)
"""After this time who could not book is asked about anew, even if nothing opened: their plan may have changed."""
UNANSWERED_AGAIN: Final = timedelta(minutes=5)
"""After this time a candidate about whom booking did not answer is proposed again."""
LONGEST_WAIT: Final = timedelta(days=92)
MOST_WISHES: Final = 5
"""Open entries of one room: enough to name the times that would do, and no way to fill a provider's line alone."""
LOOK_AGAIN: Final = timedelta(days=1)
"""How often somebody who waits beyond the provider's horizon is looked after: each day more comes within it."""

Status = Literal["waiting", "offered", "booked", "lapsed"]

_ANY_VENUE: Final = "any"
_UNKNOWN: Final = "temporary-interruption"


@dataclass(frozen=True, slots=True)
class Held:
    """A slot, and in person its venue, that is held for an entry until `lapses_at`."""

    starts_at: datetime
    ends_at: datetime
    lapses_at: datetime
    venue_id: str | None = None

    def leaves_time(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether a session at that time, for which it is given up, leaves some of it to others."""
        return self.starts_at < starts_at or ends_at < self.ends_at

    def leaves_venue(self, venue_id: str | None, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether a session there and then, for which it is given up, leaves its venue to others, if only for a while."""
        return self.venue_id is not None and (self.venue_id != venue_id or self.leaves_time(starts_at, ends_at))


@dataclass(frozen=True, slots=True)
class VenueTime:
    """A venue with the time that is taken of it."""

    venue: Venue
    taken: list[Span]


@dataclass(frozen=True, slots=True)
class Entry:
    """A member waits for a time that starts in [waits_from, waits_until). The line's order is that of the ids.

    `session_id`: the booking that takes the offer; it is not decided yet.
    `proposal_id`: booking is asked whether the member could book what is held, until `offer.lapses_at`; it is no offer yet.
    `obstacles`: why they could not book what they were proposed for last. `search_from`: nothing sooner is theirs to book.
    `ask_again_at`: until then they are passed over, unless something opens.
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
    proposal_id: str | None = None
    obstacles: tuple[Obstacle, ...] = ()
    search_from: datetime | None = None
    ask_again_at: datetime | None = None

    @property
    def looked_at(self) -> datetime:
        """When something happens to the entry by itself: its offer lapses, no answer came, or its time has passed."""
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


def still_stands(
    entry: Entry, offer: Held, schedule: Schedule, time_off: Sequence[Span], venue: Venue | None, now: datetime
) -> bool:
    """Whether what was offered could still be booked; hours or time off may have changed since. One that is due lapses."""
    return offer.lapses_at <= now or not _judged(entry, schedule, time_off, now, venue).refusals(offer.starts_at)


def first_fit(
    entry: Entry,
    schedule: Schedule,
    time_off: Sequence[Span],
    busy: Busy,
    now: datetime,
    venues: Mapping[str, VenueTime],
) -> Held | None:
    """The first slot that fits the wish and that nobody has, held until booking has to have judged, or None. In person it
    comes with the first of the venues that is open and free then. AVAIL-6"""
    if entry.modality != IN_PERSON:
        return _first(entry, schedule, time_off, busy, now, None, entry.waits_until)
    best: Held | None = None
    for venue_id, venue in venues.items():
        in_venue = Busy(busy.provider, (*busy.others, *venue.taken))
        until = entry.waits_until if best is None else best.starts_at
        found = _first(entry, schedule, time_off, in_venue, now, venue.venue, until)
        if found is not None:
            best = replace(found, venue_id=venue_id)
    return best


def _first(
    entry: Entry,
    schedule: Schedule,
    time_off: Sequence[Span],
    busy: Busy,
    now: datetime,
    venue: Venue | None,
    until: datetime,
) -> Held | None:
    offer = _judged(entry, schedule, time_off, now, venue)
    within = window(offer, max(entry.waits_from, entry.search_from or entry.waits_from), until)
    if within is None:
        return None
    for start in free_starts(offer, within, busy):
        answer_by = min(now + ANSWER_WITHIN, start - schedule.minimum_notice)
        if answer_by > now:
            return Held(start, start + offer.length, answer_by)
    return None


def offered(entry: Entry, schedule: Schedule, now: datetime, held_for: timedelta) -> Entry | None:
    """The candidate could book what is held for them, so it is offered, as long as the policy says and the slot can be booked;
    None where that time is over already."""
    assert entry.offer is not None
    lapses_at = min(now + held_for, entry.offer.starts_at - schedule.minimum_notice)
    if lapses_at <= now:
        return None
    return replace(
        entry,
        status="offered",
        offer=replace(entry.offer, lapses_at=lapses_at),
        proposal_id=None,
        obstacles=(),
        search_from=None,
        ask_again_at=None,
    )


def passed_over(
    entry: Entry, obstacles: Sequence[Obstacle], next_starts_at: datetime | None, now: datetime
) -> tuple[Entry, bool]:
    """The candidate could not book it: back in the line, at their place; and whether they are told.

    Where they could book a later start that they wait for they are proposed for that one next, and not told. Nor are they told
    the same twice. What booking could not find out is no obstacle of theirs: they are asked about again soon.
    """
    assert entry.offer is not None
    waiting = replace(entry, offer=None, proposal_id=None)
    if any(obstacle.code == _UNKNOWN for obstacle in obstacles):
        return unanswered(entry, now), False
    if next_starts_at is not None and entry.offer.starts_at < next_starts_at < entry.waits_until:
        return replace(waiting, search_from=next_starts_at), False
    tells = {obstacle.code for obstacle in obstacles} != {obstacle.code for obstacle in entry.obstacles}
    return replace(waiting, obstacles=tuple(obstacles), search_from=None, ask_again_at=now + ASK_AGAIN), tells


def unanswered(entry: Entry, now: datetime) -> Entry:
    """Booking did not say in time whether the candidate could book: others may, and they are asked about again soon."""
    return replace(entry, offer=None, proposal_id=None, search_from=None, ask_again_at=now + UNANSWERED_AGAIN)


def asked_anew(line: Iterable[Entry]) -> list[Entry]:
    """Something opened: everybody in the line is asked about again."""
    return [replace(entry, search_from=None, ask_again_at=None) for entry in line]


def next_look(entries: Sequence[Entry], schedule: Schedule, now: datetime) -> datetime | None:
    """When more of what these wait for comes within the provider's horizon, or None where all of it is within."""
    first = [entry.waits_from - schedule.horizon for entry in entries if entry.waits_until > now + schedule.horizon]
    return min((moment if moment > now else now + LOOK_AGAIN for moment in first), default=None)


def _judged(
    entry: Entry, schedule: Schedule, time_off: Sequence[Span], now: datetime, venue: Venue | None = None
) -> SlotRules:
    in_person = entry.modality == IN_PERSON
    return SlotRules(
        schedule,
        time_off,
        (venue or Venue()) if in_person else None,
        length_minutes=entry.length_minutes,
        modality=entry.modality,
        venue_id=_ANY_VENUE if in_person else None,
        now=now,
    )
