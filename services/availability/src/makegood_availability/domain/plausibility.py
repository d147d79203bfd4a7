"""Checks booking's events against availability's own holds, because a valid signature does not make an event true (SEC-7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events.possible import CLOCK_SKEW, loses_without_reason, possible_after, too_early
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.events.waitlist import WaitlistCandidateJudged

from makegood_availability.domain.waitlist import WaitlistEntry

MOVED_LATELY: Final = timedelta(hours=1)
"""How long after a move booking may still report how the session ended at its old time."""


class Hold(Protocol):
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
class EndingClaim:
    """A claim that a session has ended, and what its hold must be like for that to be true.

    `starts_by` and `ends_by` are the latest start and end that the hold may have; None: any.
    """

    session_id: str
    provider_id: str
    member_id: str
    starts_by: datetime | None
    ends_by: datetime | None


def ending_claim(event: SessionFact, now: datetime) -> EndingClaim:
    """What the session's hold must be like for the event to end it (JOIN-2, MISS-1)."""
    since, wait = possible_after(event) or (None, timedelta())
    latest = now + CLOCK_SKEW - wait
    return EndingClaim(
        event.session_id,
        event.provider_id,
        event.member_id,
        latest if since == "start" else None,
        latest if since == "end" else None,
    )


def implausibility(event: SessionFact, hold: Hold, now: datetime, *, moved_lately: bool = False) -> FactRefusal | None:
    """Why the event cannot be about the session that has the hold; None if it can."""
    if not same_parties(event, hold):
        return "not-its-parties"
    starts_at, ends_at = (event.starts_at, event.ends_at) if moved_lately else (hold.starts_at, hold.ends_at)
    return "before-its-time" if too_early(event, now, starts_at, ends_at) else contradiction(event, now)


def judgement_implausibility(event: WaitlistCandidateJudged, entry: WaitlistEntry) -> FactRefusal | None:
    """Why the judgement cannot be about the proposed candidate and slot; None if it can."""
    if (event.room_id, event.member_id, event.provider_id) != (entry.room_id, entry.member_id, entry.provider_id):
        return "not-its-parties"
    if entry.offer is None or event.starts_at != entry.offer.starts_at:
        return "not-its-terms"
    return None


def same_parties(event: SessionFact, hold: Hold) -> bool:
    """Whether the event names the hold's own member and provider."""
    return (event.member_id, event.provider_id) == (hold.member_id, hold.provider_id)


def contradiction(event: SessionFact, now: datetime) -> FactRefusal | None:
    """Why the event cannot be true of any session; None if it can."""
    if too_early(event, now, None, None):
        return "before-its-time"
    return "not-its-terms" if loses_without_reason(event) else None
