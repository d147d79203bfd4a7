"""Calendar invitations to a session: which one is sent, with which SEQUENCE (RESC-4, RFC 5546)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from makegood_contracts.events import (
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionMoved,
    SessionZoneChanged,
)
from makegood_contracts.events.sessions import SessionFact

Method = Literal["REQUEST", "CANCEL"]

ENDINGS: Final = (SessionCancelled, SessionDeclined, SessionExpired, ProviderMissed, MemberNoShow)
"""Endings that remove the appointment from the calendar. A session that took place (SessionCompleted) stays there."""
CHANGES: Final = (SessionMoved, SessionExtended, SessionZoneChanged)
"""Changes to an appointment that stays in the calendar."""

CalendarStatus = Literal["TENTATIVE", "CONFIRMED", "CANCELLED"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """One calendar message. Of two with the same UID, the higher SEQUENCE holds."""

    method: Method
    sequence: int


def uid(session_id: str) -> str:
    """The UID of the session's appointment, which never changes."""
    return f"{session_id}@makegood"


def next_invitation(event: SessionFact, sequence: int | None, *, again: bool = False) -> Invitation | None:
    """RESC-4: the calendar message that follows from `event`, if any.

    `sequence` is that of the last invitation, None if nobody was invited yet. It starts at 0 and rises by one, except
    if the last invitation was for this very event (`again`). It also rises if the invitation is not sent, as for a move
    about which the member gets no e-mail (RESC-2).
    """
    step = 0 if again else 1
    if isinstance(event, SessionConfirmed):
        return Invitation("REQUEST", 0 if sequence is None else sequence + step)
    if sequence is None:
        return None
    if isinstance(event, CHANGES):
        return Invitation("REQUEST", sequence + step)
    if isinstance(event, ENDINGS):
        return Invitation("CANCEL", sequence + step)
    return None


_CALENDAR_STATUSES: Final[dict[str, CalendarStatus]] = {
    "reserved": "TENTATIVE",
    "confirmed": "CONFIRMED",
    "completed": "CONFIRMED",
    "member_no_show": "CONFIRMED",
}


def calendar_status(status: str) -> CalendarStatus:
    """The STATUS of a session in a calendar feed. A no-show stays there, unlike what was cancelled (NOSH-1)."""
    return _CALENDAR_STATUSES.get(status, "CANCELLED")
