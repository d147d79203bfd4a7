"""Works through waitlists: holds a free slot for the next in line, and asks booking whether they can book it (AVAIL-6).

Held slots that can no longer be booked are freed first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import IN_PERSON, Schedule
from makegood_calendar.slots import Busy
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause
from makegood_contracts.events import Event
from makegood_contracts.ids import new_id

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.waitlist import (
    VenueTime,
    WaitlistEntry,
    first_fit,
    is_still_free,
    next_look,
    reconsidered,
)
from makegood_availability.handlers import waitlist_events as events
from makegood_availability.store import busy_times, offers, venues, waitlist
from makegood_availability.store.schedules import load_time_off

ENTRY: Final = "waitlist-entry"
"""Deadline of an entry: its offer lapses, booking did not judge it in time, or its time has passed."""
OPENED: Final = "waitlist-line"
"""Deadline of a provider: some of their time may have opened."""
JOINED: Final = "waitlist-joined"
"""Deadline of a provider: a slot may have opened just as somebody joined."""
HORIZON: Final = "waitlist-horizon"
"""Deadline of a provider: more days have come within the horizon."""
VENUE_FREED: Final = "waitlist-venue"
"""Deadline of a provider: a venue may have become free."""
VENUE_KEPT_FREE: Final = "waitlist-venue-again"
"""Deadline of a provider: a venue that was held for a candidate is free as before."""
PASSED_OVER: Final = "waitlist-again"
"""Deadline of a provider: somebody who was passed over is proposed again."""


@dataclass(slots=True)
class WaitlistChanges:
    """Changes of entries, and the events about them."""

    entries: dict[str, WaitlistEntry] = field(default_factory=dict)
    """As they stand afterwards."""
    events: list[Event] = field(default_factory=list)
    dropped: list[WaitlistEntry] = field(default_factory=list)
    """As they stood before the slot held for them was taken back."""

    def applied_to(self, entries: Sequence[WaitlistEntry]) -> list[WaitlistEntry]:
        """The entries with the changes applied."""
        return [self.entries.get(entry.id, entry) for entry in entries]


async def propose_next(
    unit: UnitOfWork,
    dependencies: Dependencies,
    provider_ids: Collection[str],
    causes: Mapping[str, Cause] | None = None,
    *,
    opened: bool = True,
) -> None:
    """Proposes free slots to members who wait for these providers, each waitlist in its order. `opened`: time may have
    opened, so members who were passed over are proposed again. `causes`: by provider.
    """
    awaited = await waitlist.awaited(unit, provider_ids)
    if not awaited:
        return
    await waitlist.lock_waitlists(unit, awaited)
    by_provider: dict[str, list[WaitlistEntry]] = {}
    for entry in await waitlist.open_of_providers(unit, awaited):
        by_provider.setdefault(entry.provider_id, []).append(entry)
    schedules = await dependencies.schedules.load(unit, by_provider.keys(), unit.now)
    changes = WaitlistChanges()
    for provider_id, before in by_provider.items():
        schedule = schedules.get(provider_id)
        if schedule is None:
            continue
        entries = reconsidered(before) if opened else before
        changes.entries |= {now.id: now for was, now in zip(before, entries, strict=True) if now != was}
        await _take_back(unit, dependencies, entries, schedule, changes)
        await _propose(unit, dependencies, changes.applied_to(entries), schedule, changes)
        waiting = [entry for entry in changes.applied_to(entries) if entry.offer is None]
        if (more := next_look(waiting, schedule, unit.now)) is not None:
            unit.set_deadline(HORIZON, provider_id, more)
        again = [entry.ask_again_at for entry in waiting if entry.ask_again_at is not None]
        if later := [moment for moment in again if moment > unit.now]:
            unit.set_deadline(PASSED_OVER, provider_id, min(later))
    await save_changes(unit, changes, causes or {})
    await plan_freed_venues(unit, changes.dropped, VENUE_FREED)


async def pass_on(
    unit: UnitOfWork, dependencies: Dependencies, changes: WaitlistChanges, causes: Mapping[str, Cause]
) -> None:
    """Proposes what was held for candidates who do not get it to the next in line."""
    await offers.drop(unit, changes.dropped)
    await save_changes(unit, changes, causes)
    await plan_freed_venues(unit, changes.dropped, VENUE_KEPT_FREE)
    providers = {entry.provider_id for entry in changes.dropped}
    await propose_next(unit, dependencies, providers, causes, opened=False)


async def save_changes(unit: UnitOfWork, changes: WaitlistChanges, causes: Mapping[str, Cause]) -> None:
    """Saves the changed entries, sets their deadlines and publishes their events. `causes`: by provider."""
    if changes.entries:
        await waitlist.save(unit, list(changes.entries.values()))
    for entry in changes.entries.values():
        if entry.session_id is None:
            unit.set_deadline(ENTRY, entry.id, entry.due_at)
    await events.publish(unit, changes.events, causes)


def plan_proposals(unit: UnitOfWork, provider_id: str) -> None:
    """Proposes members who wait for the provider after the commit, because more of the provider's time may be free."""
    unit.set_deadline(OPENED, provider_id, unit.now)


async def plan_proposals_in_person(unit: UnitOfWork, kind: str = VENUE_FREED) -> None:
    """Proposes members who wait for an in-person session after the commit, because a venue may be free."""
    for provider_id in await waitlist.awaited_in_person(unit):
        unit.set_deadline(kind, provider_id, unit.now)


async def plan_freed_venues(unit: UnitOfWork, dropped: Sequence[WaitlistEntry], kind: str) -> None:
    """As `plan_proposals_in_person`, if a venue was held for one of these entries."""
    if any(entry.offer is not None and entry.offer.venue_id is not None for entry in dropped):
        await plan_proposals_in_person(unit, kind)


async def _take_back(
    unit: UnitOfWork,
    dependencies: Dependencies,
    entries: Sequence[WaitlistEntry],
    schedule: Schedule,
    changes: WaitlistChanges,
) -> None:
    """Frees held slots that can no longer be booked. Members who had them keep their place."""
    held = [(entry, entry.offer) for entry in entries if entry.offer is not None and entry.session_id is None]
    if not held:
        return
    provider_id = entries[0].provider_id
    within = min(slot.starts_at for _, slot in held), max(slot.ends_at for _, slot in held)
    time_off = (await load_time_off(unit, [provider_id], *within)).get(provider_id, ())
    places = await dependencies.venues.load(unit, {slot.venue_id for _, slot in held if slot.venue_id is not None})
    gone = [
        entry
        for entry, slot in held
        if not is_still_free(entry, slot, schedule, time_off, places.get(slot.venue_id or ""), unit.now)
    ]
    if not gone:
        return
    await offers.drop(unit, gone)
    changes.dropped += gone
    for entry in gone:
        changes.events.append(events.withdrawn(entry))
        changes.entries[entry.id] = replace(entry, status="waiting", offer=None, proposal_id=None)


async def _propose(
    unit: UnitOfWork,
    dependencies: Dependencies,
    entries: Sequence[WaitlistEntry],
    schedule: Schedule,
    changes: WaitlistChanges,
) -> None:
    """Holds free slots for members who wait, in their order, and asks booking about each."""
    # One slot at a time, or one member could have a whole day set aside.
    with_slot = {entry.member_id for entry in entries if entry.offer is not None}
    waiting = [
        entry
        for entry in entries
        if entry.member_id not in with_slot
        and entry.session_id is None
        and (entry.ask_again_at is None or entry.ask_again_at <= unit.now)
    ]
    if not waiting:
        return
    within = _searched(waiting, schedule, unit.now)
    taken = await busy_times.busy_times(unit, entries[0].provider_id, *within)
    members = await busy_times.busy_members(unit, {entry.member_id for entry in waiting}, *within)
    in_person = any(entry.modality == IN_PERSON for entry in waiting)
    places = await _venue_times(unit, dependencies, within) if in_person else {}
    for entry in waiting:
        if entry.member_id in with_slot:
            continue
        busy = Busy(taken.provider, members.get(entry.member_id, ()))
        while slot := first_fit(entry, schedule, taken.time_off, busy, places, unit.now):
            blocked = schedule.blocked(slot.starts_at, slot.ends_at)
            taken.provider.append(blocked)
            if slot.venue_id is not None:
                places[slot.venue_id].taken.append((slot.starts_at, slot.ends_at))
            if await offers.hold(unit, entry, slot, blocked):
                with_slot.add(entry.member_id)
                candidate = replace(entry, offer=slot, proposal_id=new_id())
                changes.entries[entry.id] = candidate
                changes.events.append(events.proposed(candidate, schedule))
                break


async def _venue_times(unit: UnitOfWork, dependencies: Dependencies, within: Span) -> dict[str, VenueTime]:
    ids = await venues.all_ids(unit)
    known = await dependencies.venues.load(unit, ids)
    taken = await busy_times.busy_venues(unit, ids, *within)
    return {venue_id: VenueTime(known[venue_id], taken.get(venue_id, [])) for venue_id in ids if venue_id in known}


def _searched(waiting: Sequence[WaitlistEntry], schedule: Schedule, now: datetime) -> Span:
    """The period in which something could conflict with what these entries wait for."""
    start = max(now, min(entry.waits_from for entry in waiting)) - schedule.buffer_before
    end = min(now + schedule.horizon, max(entry.waits_until for entry in waiting)) + schedule.buffer_after
    return start, max(start, end + timedelta(minutes=max(entry.length_minutes for entry in waiting)))
