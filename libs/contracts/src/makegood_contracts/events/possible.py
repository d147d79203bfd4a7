"""From when on a session's event is possible. Each consumer checks it against its own copy of the session."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.events.sessions import (
    MemberNoShow,
    OutcomeAsked,
    OutcomeCorrected,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionMoved,
)

LEAST_GRACE: Final = timedelta(minutes=1)
"""The shortest grace period that a policy can set."""
CLOCK_SKEW: Final = timedelta(seconds=60)
"""How much the clocks of two hosts may differ. An event that is early by less is accepted."""


def possible_after(event: Event) -> tuple[Literal["start", "end"], timedelta] | None:
    """How long after the session's start or end the event is possible at the earliest (JOIN-2, MISS-1, NOSH-1), or None if at
    any time. The times in the event itself do not count."""
    match event:
        case ProviderMissed():
            return "start", max(timedelta(minutes=event.grace_minutes), LEAST_GRACE)
        case MemberNoShow():
            return "start", LEAST_GRACE
        case SessionCompleted() | OutcomeAsked():
            return "end", timedelta()
        case _:
            return None


def stated_moment(event: Event) -> datetime | None:
    """When the event says that it happened, which cannot be later than now."""
    match event:
        case ProviderMissed():
            return event.missed_at
        case SessionCancelled():
            return event.cancelled_at
        case SessionMoved():
            return event.moved_at
        case OutcomeCorrected():
            return event.corrected_at
        case _:
            return None


def too_early(event: Event, now: datetime, starts_at: datetime | None, ends_at: datetime | None) -> bool:
    """Whether the event is not possible at `now`: its outcome comes too early, or its own time is in the future. Without the
    session's times, which earlier releases did not store, only the latter is checked."""
    latest = now + CLOCK_SKEW
    after = possible_after(event)
    if after is not None and starts_at is not None and ends_at is not None:
        since, wait = after
        if (starts_at if since == "start" else ends_at) + wait > latest:
            return True
    stated = stated_moment(event)
    return stated is not None and stated > latest


def loses_without_reason(event: Event) -> bool:
    """Whether the event forfeits a credit although the member did not cancel or move (CANC-1, RESC-1), or did so because of the
    provider (RESC-3)."""
    match event:
        case SessionCancelled():
            return event.forfeits and (event.cancelled_by != "member" or event.caused_by_provider)
        case SessionMoved():
            return event.forfeits and (event.moved_by != "member" or event.caused_by_provider)
        case _:
            return False
