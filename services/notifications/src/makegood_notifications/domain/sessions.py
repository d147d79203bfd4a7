"""What an event makes of a session as this service knows it, and which events can be (SEC-7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events import (
    MemberNoShow,
    OutcomeCorrected,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionMoved,
    SessionReserved,
    SessionZoneChanged,
)
from makegood_contracts.events.possible import loses_without_reason, too_early
from makegood_contracts.events.sessions import SessionFact

STATUS: Final[dict[type[SessionFact], str]] = {
    SessionReserved: "reserved",
    SessionConfirmed: "confirmed",
    SessionDeclined: "declined",
    SessionExpired: "expired",
    SessionCancelled: "cancelled",
    SessionCompleted: "completed",
    ProviderMissed: "provider_missed",
    MemberNoShow: "member_no_show",
}
"""Event → status, for those that always lead to the same one."""


@dataclass(frozen=True, slots=True)
class KnownAppointment:
    """Whose a session is, and when, as far as this service knows."""

    room_id: str
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime


def status_after(event: SessionFact, before: str | None) -> str:
    """The session's status after `event`; `before` if the event does not change it."""
    if isinstance(event, SessionMoved | SessionZoneChanged):
        return "confirmed" if event.confirmed else "reserved"
    if isinstance(event, OutcomeCorrected):
        return event.outcome
    return STATUS.get(type(event)) or before or "confirmed"


def disbelieved(event: SessionFact, known: KnownAppointment | None, now: datetime) -> FactRefusal | None:
    """Why the event cannot be, so that nobody is told of it (SEC-7). None if it can.

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
