"""The status that a session has after an event."""

from __future__ import annotations

from typing import Final

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


def status_after(event: SessionFact, before: str | None) -> str:
    """The session's status after `event`; `before` if the event does not change it."""
    if isinstance(event, SessionMoved | SessionZoneChanged):
        return "confirmed" if event.confirmed else "reserved"
    if isinstance(event, OutcomeCorrected):
        return event.outcome
    return STATUS.get(type(event)) or before or "confirmed"
