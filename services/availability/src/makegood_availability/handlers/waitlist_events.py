"""What is told of the waitlist's entries, each provider's events in their order (AVAIL-6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from makegood_calendar.hours import Span
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

from makegood_availability.domain.waitlist import Entry, Held
from makegood_availability.store import waitlist

EndCause = Literal["booked", "lapsed", "left", "erased"]


async def tell(events: Sequence[Event], causes: Mapping[str, Cause], unit: UnitOfWork) -> None:
    """Publishes events of lines that are locked. `causes`: by provider."""
    if not events:
        return
    counts = Counter(event.key for event in events)
    last = await waitlist.sequences(unit, counts)
    following = {provider_id: last[provider_id] - count for provider_id, count in counts.items()}
    for event in events:
        following[event.key] += 1
        unit.publish(event, sequence=following[event.key], cause=causes.get(event.key))


def joined(entry: Entry) -> WaitlistJoined:
    return WaitlistJoined(**_facts(entry), waits_from=entry.waits_from, waits_until=entry.waits_until)


def proposed(entry: Entry, slot: Held, blocked: Span) -> WaitlistCandidateProposed:
    assert entry.proposal_id is not None
    return WaitlistCandidateProposed(
        **_facts(entry),
        proposal_id=entry.proposal_id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        blocked_from=blocked[0],
        blocked_until=blocked[1],
        decide_by=slot.lapses_at,
        venue_id=slot.venue_id,
    )


def passed_over(
    entry: Entry,
    cause: Literal["refused", "unanswered", "withdrawn"],
    obstacles: Sequence[Obstacle] = (),
    *,
    tells_member: bool = False,
) -> WaitlistCandidatePassedOver:
    """`entry`: the candidate as it stood."""
    assert entry.proposal_id is not None
    assert entry.offer is not None
    return WaitlistCandidatePassedOver(
        **_facts(entry),
        proposal_id=entry.proposal_id,
        starts_at=entry.offer.starts_at,
        ends_at=entry.offer.ends_at,
        cause=cause,
        reasons=tuple(obstacles),
        tells_member=tells_member,
    )


def offered(entry: Entry, proposal_id: str, blocked: Span) -> WaitlistOffered:
    assert entry.offer is not None
    return WaitlistOffered(
        **_facts(entry),
        starts_at=entry.offer.starts_at,
        ends_at=entry.offer.ends_at,
        blocked_from=blocked[0],
        blocked_until=blocked[1],
        lapses_at=entry.offer.lapses_at,
        venue_id=entry.offer.venue_id,
        proposal_id=proposal_id,
    )


def withdrawn(entry: Entry) -> Event:
    """What was held for the entry, as a candidate or as an offer, is held no more."""
    assert entry.offer is not None
    if entry.proposal_id is not None:
        return passed_over(entry, "withdrawn")
    return WaitlistOfferLapsed(**_facts(entry), starts_at=entry.offer.starts_at)


def ended(entry: Entry, cause: EndCause) -> WaitlistEnded:
    return WaitlistEnded(**_facts(entry), cause=cause, starts_at=entry.offer.starts_at if entry.offer else None)


def lapsed(entry: Entry) -> list[Event]:
    """The entry waits no more, and has let its time or its offer pass."""
    over: list[Event] = [ended(entry, "lapsed")]
    return over if entry.offer is None else [withdrawn(entry), *over]


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": entry.id,
        "provider_id": entry.provider_id,
        "member_id": entry.member_id,
        "room_id": entry.room_id,
        "length_minutes": entry.length_minutes,
        "modality": entry.modality,
    }
