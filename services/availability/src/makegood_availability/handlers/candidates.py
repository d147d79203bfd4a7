"""Who is first in line for what is free: the slot is held for them, and booking is asked whether they could book it (AVAIL-6).

What is held and cannot be booked any more is taken back first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import IN_PERSON, Schedule
from makegood_calendar.slots import Busy
from makegood_chassis.database import UnitOfWork
from makegood_contracts.events import Event
from makegood_contracts.ids import new_id

from makegood_availability.domain.waitlist import Entry, VenueTime, first_fit, still_stands
from makegood_availability.handlers import waitlist_events as told
from makegood_availability.store import calendar, offers, venues, waitlist
from makegood_availability.store.schedules import load_time_off
from makegood_availability.store.venues import Venues


@dataclass(slots=True)
class Changes:
    """What becomes of the entries of some lines, and what is told of it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    dropped: list[Entry] = field(default_factory=list)
    """As they stood when what was held for them was taken back."""

    def now(self, line: Sequence[Entry]) -> list[Entry]:
        """The line as it stands with the changes."""
        return [self.entries.get(entry.id, entry) for entry in line]


class Candidates:
    """Works on lines that are locked."""

    def __init__(self, known: Venues) -> None:
        self._venues = known

    async def take_back(self, line: Sequence[Entry], schedule: Schedule, unit: UnitOfWork, changes: Changes) -> None:
        """What was held and cannot be booked any more is held no longer; whose it was keeps the place in the line."""
        held = [(entry, entry.offer) for entry in line if entry.offer is not None and entry.session_id is None]
        if not held:
            return
        within = min(slot.starts_at for _, slot in held), max(slot.ends_at for _, slot in held)
        time_off = (await load_time_off(unit, [line[0].provider_id], *within)).get(line[0].provider_id, ())
        places = await self._venues.load(unit, {slot.venue_id for _, slot in held if slot.venue_id is not None})
        gone = [
            entry
            for entry, slot in held
            if not still_stands(entry, slot, schedule, time_off, places.get(slot.venue_id or ""), unit.now)
        ]
        if not gone:
            return
        await offers.drop(unit, gone)
        changes.dropped += gone
        for entry in gone:
            changes.events.append(told.withdrawn(entry))
            changes.entries[entry.id] = replace(entry, status="waiting", offer=None, proposal_id=None)

    async def propose(self, line: Sequence[Entry], schedule: Schedule, unit: UnitOfWork, changes: Changes) -> None:
        """Holds what is free for those who wait, in the order of the line, and asks booking about each."""
        # One offer at a time, or one member could have a whole day set aside.
        with_slot = {entry.member_id for entry in line if entry.offer is not None}
        waiting = [
            entry
            for entry in line
            if entry.member_id not in with_slot
            and entry.session_id is None
            and (entry.ask_again_at is None or entry.ask_again_at <= unit.now)
        ]
        if not waiting:
            return
        within = _looked_through(waiting, schedule, unit.now)
        taken = await calendar.taken(unit, line[0].provider_id, *within)
        busy = await waitlist.busy_times(unit, {entry.member_id for entry in waiting}, *within)
        in_person = any(entry.modality == IN_PERSON for entry in waiting)
        places = await self._places(within, unit) if in_person else {}
        for entry in waiting:
            if entry.member_id in with_slot:
                continue
            others = busy.get(entry.member_id, ())
            while slot := first_fit(entry, schedule, taken.time_off, Busy(taken.provider, others), unit.now, places):
                blocked = schedule.blocked(slot.starts_at, slot.ends_at)
                taken.provider.append(blocked)
                if slot.venue_id is not None:
                    places[slot.venue_id].taken.append((slot.starts_at, slot.ends_at))
                if await offers.hold(unit, entry, slot, blocked):
                    with_slot.add(entry.member_id)
                    candidate = replace(entry, offer=slot, proposal_id=new_id())
                    changes.entries[entry.id] = candidate
                    changes.events.append(told.proposed(candidate, slot, blocked))
                    break

    async def _places(self, within: Span, unit: UnitOfWork) -> dict[str, VenueTime]:
        ids = await venues.all_ids(unit)
        known = await self._venues.load(unit, ids)
        taken = await calendar.taken_in_venues(unit, ids, *within)
        return {venue: VenueTime(known[venue], taken.get(venue, [])) for venue in ids if venue in known}


def _looked_through(waiting: Sequence[Entry], schedule: Schedule, now: datetime) -> Span:
    """The time in which anything could be in the way of what these wait for."""
    start = max(now, min(entry.waits_from for entry in waiting)) - schedule.buffer_before
    end = min(now + schedule.horizon, max(entry.waits_until for entry in waiting)) + schedule.buffer_after
    return start, max(start, end + timedelta(minutes=max(entry.length_minutes for entry in waiting)))
