"""Members take an offer by booking it or moving a session to it. A refused booking gives the offer back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import SlotRequest
from makegood_availability.domain.moves import Target
from makegood_availability.domain.waitlist import WaitlistEntry
from makegood_availability.handlers import waitlist_events as events
from makegood_availability.handlers.proposals import (
    ENTRY,
    WaitlistChanges,
    plan_proposals,
    plan_proposals_in_person,
    save_changes,
)
from makegood_availability.store import holds, moves, offers, waitlist


class _SlotTaken(Exception):
    """Rolls back to before the offer was taken."""


async def take_offer(unit: UnitOfWork, request: SlotRequest) -> bool:
    """Books what is held for the member: the offer's hold becomes the session's in one step. False if that fails."""
    try:
        async with unit.savepoint():
            await waitlist.lock_waitlists(unit, [request.provider_id])
            taken = await offers.take(unit, request.provider_id, request.member_id, request.blocked)
            if not await holds.hold(unit, [request]):
                raise _SlotTaken
            entries = await waitlist.by_ids(unit, taken)
            for entry in entries:
                # A candidate who books needs no judgement, because the booking decides.
                offer = None if entry.proposal_id is not None else entry.offer
                taker = replace(entry, session_id=request.session_id, offer=offer, proposal_id=None)
                await waitlist.save(unit, [taker])
                await offers.mark_taker(unit, request.session_id, entry.id)
    except _SlotTaken:
        return False
    held = [entry.offer for entry in entries if entry.offer is not None]
    if any(offer.leaves_time(request.starts_at, request.ends_at) for offer in held):
        plan_proposals(unit, request.provider_id)
    await _plan_left_venues(unit, entries, request)
    return True


async def move_into_offer(unit: UnitOfWork, request: SlotRequest, target: Target, cause: Cause) -> int | None:
    """Moves a session to what is held for its member. Returns the sequence of the event that says so; None if it fails."""
    try:
        async with unit.savepoint():
            await waitlist.lock_waitlists(unit, [request.provider_id])
            taken = await offers.take(unit, request.provider_id, request.member_id, request.blocked)
            sequence = await moves.move(unit, request.session_id, target)
            if sequence is None:
                raise _SlotTaken
            entries = await waitlist.by_ids(unit, taken)
            booked = [
                replace(entry, status="booked", session_id=request.session_id, proposal_id=None) for entry in entries
            ]
            await waitlist.save(unit, booked)
    except _SlotTaken:
        return None
    await _close(unit, entries, {request.provider_id: cause})
    await _plan_left_venues(unit, entries, request)
    return sequence


async def close_booked(unit: UnitOfWork, session_ids: Collection[str], causes: Mapping[str, Cause]) -> None:
    """Ends the waiting of members whose offers led to these reserved sessions. `causes`: by session."""
    entries = await _lock_taken_by(unit, session_ids)
    await waitlist.save(unit, [replace(entry, status="booked") for entry in entries])
    await _close(unit, entries, _by_provider(unit, entries, causes))


async def return_offers(
    unit: UnitOfWork, dependencies: Dependencies, session_ids: Collection[str], causes: Mapping[str, Cause]
) -> None:
    """Restores the offers that these refused bookings took, for the rest of their time. `causes`: by session.

    Members whose slot or venue is gone, or who were only candidates, keep waiting.
    """
    entries = await _lock_taken_by(unit, session_ids)
    schedules = await dependencies.schedules.load(unit, {entry.provider_id for entry in entries}, unit.now)
    changes = WaitlistChanges()
    for entry in entries:
        offer, schedule = entry.offer, schedules.get(entry.provider_id)
        if offer is not None and offer.lapses_at <= unit.now:
            changes.entries[entry.id] = replace(entry, status="lapsed", session_id=None)
            changes.events += events.lapsed(entry)
            continue
        changes.entries[entry.id] = replace(entry, session_id=None)
        if offer is not None:
            blocked = None if schedule is None else schedule.blocked(offer.starts_at, offer.ends_at)
            if blocked is None or not await offers.hold(unit, entry, offer, blocked):
                changes.entries[entry.id] = replace(entry, status="waiting", offer=None, session_id=None)
                changes.events.append(events.withdrawn(entry))
    await save_changes(unit, changes, _by_provider(unit, entries, causes))


async def _close(unit: UnitOfWork, entries: Sequence[WaitlistEntry], causes: Mapping[str, Cause]) -> None:
    for entry in entries:
        unit.set_deadline(ENTRY, entry.id, None)
    await events.publish(unit, [events.ended(entry, "booked") for entry in entries], causes)


async def _plan_left_venues(unit: UnitOfWork, entries: Sequence[WaitlistEntry], request: SlotRequest) -> None:
    """Proposes to others what these entries gave up for `request`, which may be elsewhere or shorter."""
    held = [entry.offer for entry in entries if entry.offer is not None]
    if any(offer.leaves_venue(request.venue_id, request.starts_at, request.ends_at) for offer in held):
        await plan_proposals_in_person(unit)


async def _lock_taken_by(unit: UnitOfWork, session_ids: Collection[str]) -> list[WaitlistEntry]:
    entries = await waitlist.open_taken_by(unit, session_ids)
    await waitlist.lock_waitlists(unit, {entry.provider_id for entry in entries})
    return await waitlist.open_taken_by(unit, session_ids)


def _by_provider(unit: UnitOfWork, entries: Sequence[WaitlistEntry], causes: Mapping[str, Cause]) -> dict[str, Cause]:
    return {entry.provider_id: causes.get(entry.session_id or "", unit.cause) for entry in entries}
