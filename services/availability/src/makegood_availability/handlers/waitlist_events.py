"""The events of the waitlist, in order for each provider (AVAIL-6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from makegood_calendar.slot_rules import Schedule
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    Event,
    WaitlistCandidatePassedOver,
    WaitlistCandidateProposed,
    WaitlistEnded,
    WaitlistJoined,
    WaitlistOffered,
    WaitlistOfferLapsed,
)
from makegood_contracts.reasons import Obstacle

from makegood_availability.domain.waitlist import WaitlistEntry
from makegood_availability.store import waitlist

EndCause = Literal["booked", "lapsed", "left", "erased"]


async def publish(unit: UnitOfWork, events: Sequence[Event], causes: Mapping[str, Cause] | None = None) -> None:
    """Publishes events of waitlists that are locked. `causes`: by provider."""
    if not events:
        return
    counts = Counter(event.key for event in events)
    last = await waitlist.take_sequences(unit, counts)
    sequences = {provider_id: last[provider_id] - count for provider_id, count in counts.items()}
    for event in events:
        sequences[event.key] += 1
        unit.publish(event, sequence=sequences[event.key], cause=(causes or {}).get(event.key))


def joined(entry: WaitlistEntry) -> WaitlistJoined:
    return WaitlistJoined(**_fields(entry), waits_from=entry.waits_from, waits_until=entry.waits_until)


def proposed(entry: WaitlistEntry, schedule: Schedule) -> WaitlistCandidateProposed:
    assert entry.proposal_id is not None
    return WaitlistCandidateProposed(
        **_fields(entry), **_held(entry, schedule), proposal_id=entry.proposal_id, decide_by=entry.due_at
    )


def passed_over(
    entry: WaitlistEntry,
    cause: Literal["refused", "unanswered", "withdrawn"],
    obstacles: Sequence[Obstacle] = (),
    *,
    tells_member: bool = False,
) -> WaitlistCandidatePassedOver:
    """`entry` is the candidate's entry before the change."""
    assert entry.proposal_id is not None
    assert entry.offer is not None
    return WaitlistCandidatePassedOver(
        **_fields(entry),
        proposal_id=entry.proposal_id,
        starts_at=entry.offer.starts_at,
        ends_at=entry.offer.ends_at,
        cause=cause,
        reasons=tuple(obstacles),
        tells_member=tells_member,
    )


def offered(entry: WaitlistEntry, proposal_id: str, schedule: Schedule) -> WaitlistOffered:
    return WaitlistOffered(**_fields(entry), **_held(entry, schedule), proposal_id=proposal_id, lapses_at=entry.due_at)


def withdrawn(entry: WaitlistEntry) -> Event:
    """The slot that was proposed or offered is no longer held."""
    assert entry.offer is not None
    if entry.proposal_id is not None:
        return passed_over(entry, "withdrawn")
    return WaitlistOfferLapsed(**_fields(entry), starts_at=entry.offer.starts_at)


def ended(entry: WaitlistEntry, cause: EndCause) -> WaitlistEnded:
    return WaitlistEnded(**_fields(entry), cause=cause, starts_at=entry.offer.starts_at if entry.offer else None)


def lapsed(entry: WaitlistEntry) -> list[Event]:
    """The entry has ended, because its time or its offer has passed."""
    end = ended(entry, "lapsed")
    return [end] if entry.offer is None else [withdrawn(entry), end]


def _fields(entry: WaitlistEntry) -> dict[str, Any]:
    return {
        "entry_id": entry.id,
        "provider_id": entry.provider_id,
        "member_id": entry.member_id,
        "room_id": entry.room_id,
        "length_minutes": entry.length_minutes,
        "modality": entry.modality,
    }


def _held(entry: WaitlistEntry, schedule: Schedule) -> dict[str, Any]:
    assert entry.offer is not None
    blocked_from, blocked_until = schedule.blocked(entry.offer.starts_at, entry.offer.ends_at)
    return {
        "starts_at": entry.offer.starts_at,
        "ends_at": entry.offer.ends_at,
        "venue_id": entry.offer.venue_id,
        "blocked_from": blocked_from,
        "blocked_until": blocked_until,
    }
