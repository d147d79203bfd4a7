"""The waitlist's entries: joining, leaving, booking's judgements, and deadlines (AVAIL-6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Literal

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import PolicyChanged, WaitlistCandidateJudged
from makegood_contracts.ids import is_id

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.moves import SlotHold
from makegood_availability.domain.plausibility import judgement_implausibility
from makegood_availability.domain.waitlist import WaitlistEntry, entry_to_join, offered, passed_over, unanswered
from makegood_availability.handlers import waitlist_events as events
from makegood_availability.handlers.offers import return_offers
from makegood_availability.handlers.proposals import (
    ENTRY,
    JOINED,
    VENUE_FREED,
    WaitlistChanges,
    pass_on,
    plan_freed_venues,
    plan_proposals_in_person,
    propose_next,
)
from makegood_availability.store import offers, waitlist
from makegood_availability.store.holds import ReleasedHold

_UNSEEN: Final = timedelta(seconds=5)
"""A release that was being written together with a new entry did not see it. By then it is committed, so that another look
finds its slot."""


async def join(unit: UnitOfWork, dependencies: Dependencies, new: WaitlistEntry) -> WaitlistEntry | Literal["full"]:
    """Adds the entry to its waitlist, and proposes it at once if something is free.

    Returns the member's entry: the existing one, if the same time and kind is requested again.
    """
    await waitlist.create_waitlist(unit, new.provider_id)
    entry = entry_to_join(new, await waitlist.open_of_rooms(unit, [new.room_id]))
    if entry is not new:
        return entry
    await waitlist.insert_entry(unit, entry)
    unit.set_deadline(ENTRY, entry.id, entry.due_at)
    await events.publish(unit, [events.joined(entry)])
    await propose_next(unit, dependencies, [entry.provider_id], opened=False)
    unit.set_deadline(JOINED, entry.provider_id, unit.now + _UNSEEN)
    return entry


async def leave(
    unit: UnitOfWork,
    dependencies: Dependencies,
    entries: Sequence[WaitlistEntry],
    causes: Mapping[str, Cause] | None = None,
    why: events.EndCause = "left",
) -> None:
    """Deletes entries. What was held for them passes on to the next in line. `causes`: by provider."""
    providers = {entry.provider_id for entry in entries}
    await waitlist.lock_waitlists(unit, providers)
    entries = await waitlist.by_ids(unit, [entry.id for entry in entries])
    await offers.drop(unit, entries)
    await waitlist.delete_entries(unit, [entry.id for entry in entries])
    for entry in entries:
        unit.set_deadline(ENTRY, entry.id, None)
    ended = [events.ended(entry, why) for entry in entries if entry.status in waitlist.OPEN]
    await events.publish(unit, ended, causes)
    await plan_freed_venues(unit, entries, VENUE_FREED)
    await propose_next(unit, dependencies, providers, causes)


async def pass_on_released(
    unit: UnitOfWork, dependencies: Dependencies, released: Sequence[ReleasedHold], causes: Mapping[str, Cause]
) -> None:
    """Passes on released slots: first gives back taken offers, then proposes members who wait. `causes`: by session.

    Costs nothing if nobody waits, because the release has checked that.
    """
    took_offers = {hold.session_id for hold in released if hold.entry_id is not None}
    providers = {hold.provider_id: causes.get(hold.session_id, unit.cause) for hold in released if hold.awaited}
    if took_offers:
        await return_offers(unit, dependencies, took_offers, causes)
    if providers:
        by_members = await waitlist.awaited_by(unit, [hold.member_id for hold in released if hold.awaited])
        await propose_next(unit, dependencies, providers.keys() | by_members, providers)
    if any(hold.venue_id is not None for hold in released):
        await plan_proposals_in_person(unit)


async def pass_on_moved(
    unit: UnitOfWork, dependencies: Dependencies, moved: Sequence[SlotHold], causes: Mapping[str, Cause]
) -> None:
    """Passes on the slots that moved holds have left. `causes`: by provider."""
    by_members = await waitlist.awaited_by(unit, [hold.member_id for hold in moved])
    await propose_next(unit, dependencies, {hold.provider_id for hold in moved} | by_members, causes)
    if any(hold.venue_id is not None for hold in moved):
        await plan_proposals_in_person(unit)


async def on_candidate_judged(
    batch: Sequence[Received[WaitlistCandidateJudged]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Offers the slot to a candidate who could book. One who could not keeps their place, and the next is proposed.

    A repeated or late answer is about a proposal that no longer exists, and is ignored.
    """
    ids = {received.event.entry_id for received in batch if is_id(received.event.entry_id)}
    await waitlist.lock_waitlists(unit, {entry.provider_id for entry in await waitlist.by_ids(unit, ids)})
    entries = {entry.id: entry for entry in await waitlist.by_ids(unit, ids)}
    schedules = await dependencies.schedules.load(unit, {entry.provider_id for entry in entries.values()}, unit.now)
    offer_time = await waitlist.offer_time(unit)
    changes, causes = WaitlistChanges(), {}
    for received in batch:
        event, entry = received.event, entries.pop(received.event.entry_id, None)
        if entry is None or entry.proposal_id != event.proposal_id:
            continue
        if (refusal := judgement_implausibility(event, entry)) is not None:
            unit.refuse(received.id, refusal)
            continue
        causes[entry.provider_id] = received.cause
        if event.reasons:
            after, tells = passed_over(entry, event.reasons, event.next_starts_at, unit.now)
            changes.dropped.append(entry)
            changes.entries[entry.id] = after
            changes.events.append(events.passed_over(entry, "refused", event.reasons, tells_member=tells))
            continue
        schedule = schedules.get(entry.provider_id)
        offer = None if schedule is None else offered(entry, schedule, offer_time, unit.now)
        if schedule is not None and offer is not None:
            changes.entries[entry.id] = offer
            changes.events.append(events.offered(offer, event.proposal_id, schedule))
        else:
            changes.dropped.append(entry)
            changes.entries[entry.id] = replace(entry, offer=None, proposal_id=None)
            changes.events.append(events.withdrawn(entry))
    await pass_on(unit, dependencies, changes, causes)


async def on_policy_changed(batch: Sequence[Received[PolicyChanged]], unit: UnitOfWork) -> None:
    """Saves how long offers are held, for offers made from now on."""
    latest = max((received.event for received in batch), key=lambda event: event.policy_version)
    await waitlist.save_policy(unit, latest.policy_version, latest.offer_minutes)


async def on_entries_due(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Ends offers that were not taken in time, and entries whose time has passed. The next in line are proposed.

    Candidates whom booking did not judge in time keep their place.
    """
    ids = [deadline.entity_id for deadline in due]
    await waitlist.lock_waitlists(unit, {entry.provider_id for entry in await waitlist.by_ids(unit, ids)})
    over, silent = WaitlistChanges(), WaitlistChanges()
    for entry in await waitlist.by_ids(unit, ids):
        if entry.status not in waitlist.OPEN or entry.session_id is not None:
            continue  # a booking takes the offer, and decides
        if entry.due_at > unit.now:
            unit.set_deadline(ENTRY, entry.id, entry.due_at)
        elif entry.proposal_id is not None and entry.waits_until > unit.now:
            silent.dropped.append(entry)
            silent.entries[entry.id] = unanswered(entry, unit.now)
            silent.events.append(events.passed_over(entry, "unanswered"))
        else:
            over.dropped.append(entry)
            over.entries[entry.id] = replace(entry, status="lapsed", proposal_id=None)
            over.events += events.lapsed(entry)
    if over.dropped:
        await offers.drop(unit, over.dropped)
        await waitlist.save(unit, list(over.entries.values()))
        await events.publish(unit, over.events)
        await plan_freed_venues(unit, over.dropped, VENUE_FREED)
        await propose_next(unit, dependencies, {entry.provider_id for entry in over.dropped if entry.offer is not None})
    if silent.dropped:
        await pass_on(unit, dependencies, silent, {})


async def on_waitlists_due(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Works through these waitlists, because time may have opened."""
    await propose_next(unit, dependencies, [deadline.entity_id for deadline in due])


async def on_waitlists_due_again(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Works through these waitlists although nothing opened, because members who were passed over may be able to book
    by now.
    """
    await propose_next(unit, dependencies, [deadline.entity_id for deadline in due], opened=False)
