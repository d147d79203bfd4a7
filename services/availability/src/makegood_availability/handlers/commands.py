"""What the API asks for. Each command locks, applies the rule, saves, and publishes what changed.

`admit` says whether the caller may change the thing as it is. It raises if the thing is not theirs or has changed since
they read it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final, Literal

from makegood_chassis.database import UnitOfWork
from makegood_chassis.refusals import FieldRefused, NotFound, RuleRefused
from makegood_contracts.check_in import digest, new_code
from makegood_contracts.events import (
    DateHours,
    Hours,
    SchedulePublished,
    SessionType,
    TimeOffAdded,
    TimeOffRemoved,
    VenueCodeChanged,
    WeeklyHours,
)
from makegood_contracts.ids import is_id, is_just_made, new_id

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.waitlist import WaitlistEntry, is_kind_offered
from makegood_availability.handlers.proposals import plan_proposals, plan_proposals_in_person
from makegood_availability.handlers.refusals import SessionsInTimeOff
from makegood_availability.handlers.venues import publish_venue
from makegood_availability.handlers.waitlist import join, leave
from makegood_availability.store import rooms, schedules, venues, waitlist
from makegood_availability.store.bodies import DAYS, minutes_of
from makegood_availability.store.holds import upcoming_within
from makegood_availability.store.rooms import Room
from makegood_availability.store.schedules import TimeOff
from makegood_availability.store.venues import VenueRow
from makegood_availability.store.waitlist import ListedEntry

AdmitVersion = Callable[[int], None]
AdmitRoom = Callable[[Room], None]

ROOM_PATIENCE: Final = 1.0
"""Seconds to wait for news of a room that was opened or restarted a moment ago."""
_LOOKS_EVERY: Final = 0.05


# Schedules and time off


async def publish_schedule(
    unit: UnitOfWork, provider_id: str, body: Mapping[str, Any], admit: AdmitVersion
) -> tuple[int, bool]:
    """Replaces the provider's schedule (AVAIL-1). Returns its version, and whether it is their first one."""
    before = await schedules.lock(unit, provider_id)
    admit(before.version if before else 0)
    version, sequence = await schedules.publish(unit, provider_id, body)
    unit.publish(_schedule_published(provider_id, version, body), sequence=sequence)
    plan_proposals(unit, provider_id)
    return version, before is None or before.body is None


async def add_time_off(
    unit: UnitOfWork,
    provider_id: str,
    time_off: TimeOff,
    sessions: Literal["keep", "cancel"] | None,
    admit: AdmitVersion,
) -> None:
    """Takes time off (AVAIL-1). `sessions` says what happens to sessions in it that have not begun. Without it, there
    must be none.
    """
    if time_off.ends_at <= unit.now:
        raise FieldRefused("ends_at", "This time off is already over.")
    before = await schedules.lock(unit, provider_id)
    admit(before.version if before else 0)
    inside = await upcoming_within(unit, provider_id, time_off.starts_at, time_off.ends_at)
    if inside and sessions is None:
        raise SessionsInTimeOff(inside)
    version, sequence = await schedules.touch(unit, provider_id)
    await schedules.add_time_off(unit, provider_id, time_off)
    plan_proposals(unit, provider_id)
    added = TimeOffAdded(
        provider_id=provider_id,
        schedule_version=version,
        time_off_id=time_off.id,
        starts_at=time_off.starts_at,
        ends_at=time_off.ends_at,
        cancels=tuple(session.session_id for session in inside) if sessions == "cancel" else (),
    )
    unit.publish(added, sequence=sequence)


async def remove_time_off(unit: UnitOfWork, provider_id: str, time_off_id: str, admit: AdmitVersion) -> None:
    """Removes time off, so that the schedule's hours are offered again."""
    # The provider's row first, like every other change, so that no two changes wait for each other in a circle.
    before = await schedules.lock(unit, provider_id)
    if before is None or not await schedules.remove_time_off(unit, provider_id, time_off_id):
        raise NotFound("time off")
    admit(before.version)
    version, sequence = await schedules.touch(unit, provider_id)
    plan_proposals(unit, provider_id)
    removed = TimeOffRemoved(provider_id=provider_id, schedule_version=version, time_off_id=time_off_id)
    unit.publish(removed, sequence=sequence)


# Venues


async def create_venue(unit: UnitOfWork, venue: VenueRow) -> None:
    """Adds a venue, and proposes it to members who wait for an in-person session."""
    await venues.insert_venue(unit, venue)
    await plan_proposals_in_person(unit)
    publish_venue(unit, venue)


async def change_venue(unit: UnitOfWork, changed: VenueRow, admit: AdmitVersion) -> VenueRow:
    """Replaces the venue's description and hours. Returns the venue with its new version. Sessions booked there stay."""
    before = await _lock_venue(unit, changed.id, admit)
    venue = replace(changed, id=before.id, version=before.version + 1)
    await venues.update_venue(unit, venue)
    await plan_proposals_in_person(unit)
    publish_venue(unit, venue)
    return venue


async def change_check_in_code(unit: UnitOfWork, venue_id: str, admit: AdmitVersion) -> tuple[VenueRow, str]:
    """Makes a new code for the venue to show (JOIN-3). Returns the venue with its new version, and the code."""
    before = await _lock_venue(unit, venue_id, admit)
    venue, code = replace(before, version=before.version + 1), new_code()
    await venues.set_code(unit, venue.id, venue.version, code)
    changed = VenueCodeChanged(venue_id=venue.id, venue_version=venue.version, code_digest=digest(code, venue.id))
    unit.publish(changed, sequence=venue.version)
    return venue, code


async def _lock_venue(unit: UnitOfWork, venue_id: str, admit: AdmitVersion) -> VenueRow:
    venue = await venues.lock(unit, venue_id)
    if venue is None:
        raise NotFound("venue")
    admit(venue.version)
    return venue


# The waitlist


async def wait_for_room(dependencies: Dependencies, room_id: str) -> None:
    """Returns once the room is known to be open, or is unlikely to be (ROOM-1). Holds no transaction while it waits."""
    end = time.monotonic() + ROOM_PATIENCE
    while True:
        async with dependencies.database.reading() as queries:
            room = await rooms.find(queries, room_id)
        expected = is_just_made(room_id) if room is None else not room.active
        if not expected or time.monotonic() >= end:
            return
        await asyncio.sleep(_LOOKS_EVERY)


async def join_waitlist(
    unit: UnitOfWork, dependencies: Dependencies, room_id: str, wanted: Mapping[str, Any], admit: AdmitRoom
) -> tuple[ListedEntry, bool]:
    """Adds an entry with these fields to the provider's waitlist (AVAIL-6). Returns the open one, and whether it is new."""
    # News that the room is closed waits for the entry, and then ends it.
    room = await _room(unit, room_id, admit, keep=True)
    if not room.active:
        raise RuleRefused("room-closed")
    new = WaitlistEntry(
        id=new_id(),
        room_id=room.room_id,
        provider_id=room.provider_id,
        member_id=room.member_id,
        status="waiting",
        **wanted,
    )
    if new.waits_until <= unit.now:
        raise FieldRefused("to", "That time is in the past.")
    schedule = (await dependencies.schedules.load(unit, [room.provider_id], unit.now)).get(room.provider_id)
    if schedule is not None and not is_kind_offered(new, schedule, unit.now):
        raise RuleRefused("slot-not-offered", "The provider does not offer sessions of this length and modality.")
    entry = await join(unit, dependencies, new)
    if entry == "full":
        raise RuleRefused("waitlist-full")
    (listed,) = await waitlist.list_of_room(unit, room.room_id, None, 1, only=entry.id)
    return listed, entry is new


async def leave_waitlist(
    unit: UnitOfWork, dependencies: Dependencies, room_id: str, entry_id: str, admit: AdmitRoom
) -> None:
    """Deletes the entry; an offer passes on to the next in line."""
    room = await _room(unit, room_id, admit)
    entries = await waitlist.by_ids(unit, [entry_id]) if is_id(entry_id) else []
    if [entry.room_id for entry in entries] != [room.room_id]:
        raise NotFound("entry")
    await leave(unit, dependencies, entries)


async def _room(unit: UnitOfWork, room_id: str, admit: AdmitRoom, *, keep: bool = False) -> Room:
    room = await rooms.find(unit, room_id, keep=keep)
    if room is None:
        raise NotFound("room")
    admit(room)
    return room


def _schedule_published(provider_id: str, version: int, body: Mapping[str, Any]) -> SchedulePublished:
    return SchedulePublished(
        provider_id=provider_id,
        schedule_version=version,
        time_zone=body["time_zone"],
        specialty=body["specialty"],
        session_types=[SessionType(**kind) for kind in body["session_types"]],
        minimum_notice_minutes=body["minimum_notice_minutes"],
        horizon_days=body["horizon_days"],
        weekly=tuple(
            WeeklyHours(
                weekday=DAYS.index(hours["day"]), start=minutes_of(hours["from"]), until=minutes_of(hours["to"])
            )
            for hours in body["weekly"]
        ),
        exceptions=tuple(
            DateHours(
                day=date.fromisoformat(exception["date"]),
                hours=tuple(
                    Hours(start=minutes_of(hours["from"]), until=minutes_of(hours["to"]))
                    for hours in exception["hours"]
                ),
            )
            for exception in body["exceptions"]
        ),
        buffer_before_minutes=body["buffer_before_minutes"],
        buffer_after_minutes=body["buffer_after_minutes"],
        slot_step_minutes=body["slot_step_minutes"],
    )
