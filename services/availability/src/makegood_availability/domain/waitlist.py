"""AVAIL-6: who is next for a slot that opens, and how long it is held for them."""

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

DEFAULT_OFFER_TIME: Final = timedelta(minutes=120)
"""How long an offer is held until booking publishes a policy."""
ANSWER_WITHIN: Final = timedelta(minutes=1)
"""How long booking has to judge a candidate; then the next in line is proposed."""
ASK_AGAIN: Final = timedelta(hours=1)
"""When a candidate who could not book is proposed again, even if nothing opened: their plan may have changed."""
UNANSWERED_AGAIN: Final = timedelta(minutes=5)
"""When a candidate whom booking did not judge in time is proposed again."""
LONGEST_WAIT: Final = timedelta(days=92)
MOST_ENTRIES: Final = 5
"""Open entries of one room: enough to name the times that would do, too few to fill a provider's waitlist alone."""
LOOK_AGAIN: Final = timedelta(days=1)
"""How often the waitlist is worked through for entries beyond the provider's horizon: each day more comes within it."""

WaitlistStatus = Literal["waiting", "offered", "booked", "lapsed"]

_ANY_VENUE: Final = "any"
_UNKNOWN: Final = "temporary-interruption"


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """A slot that is held for an entry until `lapses_at`. For an in-person session, its venue is held too."""

    starts_at: datetime
    ends_at: datetime
    lapses_at: datetime
    venue_id: str | None = None

    def leaves_time(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether a session at that time, instead of in the held slot, leaves part of the slot to others."""
        return self.starts_at < starts_at or ends_at < self.ends_at

    def leaves_venue(self, venue_id: str | None, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether a session at that time and place, instead of in the held slot, leaves the slot's venue free for a
        while.
        """
        return self.venue_id is not None and (self.venue_id != venue_id or self.leaves_time(starts_at, ends_at))


@dataclass(frozen=True, slots=True)
class VenueTime:
    """A venue, and when it is taken."""

    venue: Venue
    taken: list[Span]


@dataclass(frozen=True, slots=True)
class WaitlistEntry:
    """A member who waits for a session that starts in [waits_from, waits_until). A provider's waitlist is ordered by
    id.

    `session_id`: the undecided booking that takes the offer. `proposal_id`: booking is judging whether the member could
    book what is held. Until then it is not an offer. `obstacles`: why they could not book the last slot that was held
    for them. `search_from`: they could not book anything that starts earlier. `ask_again_at`: until then they are
    passed over, unless something opens.
    """

    id: str
    room_id: str
    provider_id: str
    member_id: str
    waits_from: datetime
    waits_until: datetime
    length_minutes: int
    modality: Modality
    status: WaitlistStatus
    offer: HeldSlot | None = None
    session_id: str | None = None
    proposal_id: str | None = None
    obstacles: tuple[Obstacle, ...] = ()
    search_from: datetime | None = None
    ask_again_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """When the entry needs attention: its offer lapses, its proposal is unanswered, or its time has passed."""
        return self.waits_until if self.offer is None else self.offer.lapses_at


def entry_to_join(new: WaitlistEntry, open_entries: Sequence[WaitlistEntry]) -> WaitlistEntry | Literal["full"]:
    """The member's entry: the room's open one for the same time and kind, or otherwise the new one (AVAIL-6).

    `full`: the room has as many open entries as it may have.
    """
    for entry in open_entries:
        if _wanted(entry) == _wanted(new):
            return entry
    return new if len(open_entries) < MOST_ENTRIES else "full"


def _wanted(entry: WaitlistEntry) -> tuple[object, ...]:
    return entry.waits_from, entry.waits_until, entry.length_minutes, entry.modality


def is_kind_offered(entry: WaitlistEntry, schedule: Schedule, now: datetime) -> bool:
    """Whether the provider offers sessions of this length and modality at all."""
    return NOT_THIS_KIND not in _rules(entry, schedule, (), now).kind_refusals


def is_still_free(
    entry: WaitlistEntry,
    slot: HeldSlot,
    schedule: Schedule,
    time_off: Sequence[Span],
    venue: Venue | None,
    now: datetime,
) -> bool:
    """Whether the entry's slot can still be booked after a change of hours or time off. An entry that is due lapses
    anyway.
    """
    return slot.lapses_at <= now or not _rules(entry, schedule, time_off, now, venue).refusals(slot.starts_at)


def first_fit(
    entry: WaitlistEntry,
    schedule: Schedule,
    time_off: Sequence[Span],
    busy: Busy,
    venues: Mapping[str, VenueTime],
    now: datetime,
) -> HeldSlot | None:
    """The first free slot that the entry waits for, held until booking must have judged; None if there is none (AVAIL-6).

    For an in-person session, it includes the first venue that is open and free then.
    """
    if entry.modality != IN_PERSON:
        return _first(entry, schedule, time_off, busy, now, None, entry.waits_until)
    best: HeldSlot | None = None
    for venue_id, venue in venues.items():
        in_venue = Busy(busy.provider, (*busy.others, *venue.taken))
        until = entry.waits_until if best is None else best.starts_at
        found = _first(entry, schedule, time_off, in_venue, now, venue.venue, until)
        if found is not None:
            best = replace(found, venue_id=venue_id)
    return best


def _first(
    entry: WaitlistEntry,
    schedule: Schedule,
    time_off: Sequence[Span],
    busy: Busy,
    now: datetime,
    venue: Venue | None,
    until: datetime,
) -> HeldSlot | None:
    rules = _rules(entry, schedule, time_off, now, venue)
    within = window(rules, max(entry.waits_from, entry.search_from or entry.waits_from), until)
    if within is None:
        return None
    for start in free_starts(rules, within, busy):
        answer_by = min(now + ANSWER_WITHIN, start - schedule.minimum_notice)
        if answer_by > now:
            return HeldSlot(start, start + rules.length, answer_by)
    return None


def offered(entry: WaitlistEntry, schedule: Schedule, offer_time: timedelta, now: datetime) -> WaitlistEntry | None:
    """Offers the candidate what is held for them, for `offer_time` or as long as it can be booked. None if that time is
    already over.
    """
    assert entry.offer is not None
    lapses_at = min(now + offer_time, entry.offer.starts_at - schedule.minimum_notice)
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
    entry: WaitlistEntry, obstacles: Sequence[Obstacle], next_starts_at: datetime | None, now: datetime
) -> tuple[WaitlistEntry, bool]:
    """The candidate could not book and keeps waiting, in the same place. The second value says whether they are told
    why.

    If they could book a later start that they wait for, they are proposed for that next, and not told. They are not
    told the same thing twice. If booking could not find out, that is not their obstacle: they are proposed again soon.
    """
    assert entry.offer is not None
    waiting = replace(entry, offer=None, proposal_id=None)
    if any(obstacle.code == _UNKNOWN for obstacle in obstacles):
        return unanswered(entry, now), False
    if next_starts_at is not None and entry.offer.starts_at < next_starts_at < entry.waits_until:
        return replace(waiting, search_from=next_starts_at), False
    tells = {obstacle.code for obstacle in obstacles} != {obstacle.code for obstacle in entry.obstacles}
    return replace(waiting, obstacles=tuple(obstacles), search_from=None, ask_again_at=now + ASK_AGAIN), tells


def unanswered(entry: WaitlistEntry, now: datetime) -> WaitlistEntry:
    """Booking did not judge the candidate in time: others get the slot, and the candidate is proposed again soon."""
    return replace(entry, offer=None, proposal_id=None, search_from=None, ask_again_at=now + UNANSWERED_AGAIN)


def reconsidered(entries: Iterable[WaitlistEntry]) -> list[WaitlistEntry]:
    """Proposes everybody again, because something opened."""
    return [replace(entry, search_from=None, ask_again_at=None) for entry in entries]


def next_look(entries: Sequence[WaitlistEntry], schedule: Schedule, now: datetime) -> datetime | None:
    """When more of the time that these entries wait for comes within the provider's horizon. None if all of it is."""
    first = [entry.waits_from - schedule.horizon for entry in entries if entry.waits_until > now + schedule.horizon]
    return min((moment if moment > now else now + LOOK_AGAIN for moment in first), default=None)


def _rules(
    entry: WaitlistEntry, schedule: Schedule, time_off: Sequence[Span], now: datetime, venue: Venue | None = None
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
