"""SEC-7: what availability believes of booking's events, however well they are signed: only what can be of its own hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events.possible import CLOCK_SKEW, loses_without_reason, possible_after, too_early
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.events.waitlist import WaitlistCandidateJudged

from makegood_availability.domain.waitlist import Entry

MOVED_LATELY: Final = timedelta(hours=1)
"""So long after a hold was moved booking may still tell how the session ended at its old time."""


class Held(Protocol):
    """A session's hold."""

    @property
    def provider_id(self) -> str: ...
    @property
    def member_id(self) -> str: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """That a session is over, and what its hold must be like for that to be true.

    `begun_by`, `ended_by`: latest start and end that the hold may have; None: any.
    """

    session_id: str
    provider_id: str
    member_id: str
    begun_by: datetime | None
    ended_by: datetime | None


def claim_of(event: SessionFact, now: datetime) -> Claim:
    """What must hold of the session's hold for the event to end it (JOIN-2, MISS-1)."""
    since, wait = possible_after(event) or (None, timedelta())
    latest = now + CLOCK_SKEW - wait
    return Claim(
        event.session_id,
        event.provider_id,
        event.member_id,
        latest if since == "start" else None,
        latest if since == "end" else None,
    )


def disbelieved(event: SessionFact, hold: Held, now: datetime, *, moved_lately: bool = False) -> FactRefusal | None:
    """Why the event cannot be of the session that the hold is for; None where it can."""
    if not of_its_parties(event, hold):
        return "not-its-parties"
    starts_at, ends_at = (event.starts_at, event.ends_at) if moved_lately else (hold.starts_at, hold.ends_at)
    return "before-its-time" if too_early(event, now, starts_at, ends_at) else contradiction(event, now)


def misjudged(event: WaitlistCandidateJudged, entry: Entry) -> FactRefusal | None:
    """Why the judgement cannot be of the candidate and the slot that were proposed; None where it can."""
    if (event.room_id, event.member_id, event.provider_id) != (entry.room_id, entry.member_id, entry.provider_id):
        return "not-its-parties"
    if entry.offer is None or event.starts_at != entry.offer.starts_at:
        return "not-its-terms"
    return None


def of_its_parties(event: SessionFact, hold: Held) -> bool:
    return (event.member_id, event.provider_id) == (hold.member_id, hold.provider_id)


def contradiction(event: SessionFact, now: datetime) -> FactRefusal | None:
    """Why the event cannot be, whatever session it is of."""
    if too_early(event, now, None, None):
        return "before-its-time"
    return "not-its-terms" if loses_without_reason(event) else None
