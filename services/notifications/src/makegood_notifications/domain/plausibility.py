"""Checks booking's events against the sessions that notifications knows, so that nobody is told of an impossible one (SEC-7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events.possible import loses_without_reason, too_early
from makegood_contracts.events.sessions import SessionFact


@dataclass(frozen=True, slots=True)
class KnownAppointment:
    """Whose a session is, and when, as far as this service knows."""

    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime


def implausibility(event: SessionFact, known: KnownAppointment | None, now: datetime) -> FactRefusal | None:
    """Why the event cannot be true; None if it can.

    If the session is new here, the event's own times count.
    """
    if known is None:
        starts_at, ends_at = event.starts_at, event.ends_at
    else:
        starts_at, ends_at = known.starts_at, known.ends_at
        if (event.room_id, event.member_id, event.provider_id) != (known.room_id, known.member_id, known.provider_id):
            return "not-its-parties"
    if loses_without_reason(event):
        return "not-its-terms"
    return "before-its-time" if too_early(event, now, starts_at, ends_at) else None
