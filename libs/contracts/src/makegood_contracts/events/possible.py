"""From when on an event of a session can be, whoever tells it: each consumer judges by the session as it knows it itself."""

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
"""The least that a policy lets a late party be waited for."""
CLOCK_SKEW: Final = timedelta(seconds=60)
"""How far the clocks of two services' hosts may differ: what is so much too early is not yet impossible."""


def possible_after(event: Event) -> tuple[Literal["start", "end"], timedelta] | None:
    """So long after the session's start, or its end, it can have ended so at the earliest (JOIN-2, MISS-1, NOSH-1); None: at
    any moment. Nothing that the event itself says of the session's times counts."""
    match event:
        case ProviderMissed():
            return "start", max(timedelta(minutes=event.grace_minutes), LEAST_GRACE)
        case MemberNoShow():
            return "start", LEAST_GRACE
        case SessionCompleted() | OutcomeAsked():
            return "end", timedelta()
        case _:
            return None


def told_moment(event: Event) -> datetime | None:
    """When it happened, as the event says: never later than now."""
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
    """Whether the event cannot be by `now`: its outcome is not possible yet, or it tells of the future. Without the session's
    times (they were not kept in earlier releases) only the latter is known."""
    latest = now + CLOCK_SKEW
    after = possible_after(event)
    if after is not None and starts_at is not None and ends_at is not None:
        since, wait = after
        if (starts_at if since == "start" else ends_at) + wait > latest:
            return True
    told = told_moment(event)
    return told is not None and told > latest


def loses_without_reason(event: Event) -> bool:
    """Whether a credit would be forfeited by a cancellation or move that was not the member's (CANC-1, RESC-1), or was made for
    what the provider did (RESC-3)."""
    match event:
        case SessionCancelled():
            return event.forfeits and (event.cancelled_by != "member" or event.caused_by_provider)
        case SessionMoved():
            return event.forfeits and (event.moved_by != "member" or event.caused_by_provider)
        case _:
            return False
