"""Calendar invitations of a session: what is sent, and under which SEQUENCE (RESC-4, RFC 5546)."""

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
"""Endings that take the appointment out of the calendar. One that took place (SessionCompleted) stays there."""
CHANGES: Final = (SessionMoved, SessionExtended, SessionZoneChanged)
"""Changes of an appointment that stays in the calendar."""

CalendarStatus = Literal["TENTATIVE", "CONFIRMED", "CANCELLED"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """One calendar message; of two with the same UID the higher SEQUENCE holds."""

    method: Method
    sequence: int


def uid(session_id: str) -> str:
    """The UID of the session's appointment: the same for its whole life."""
    return f"{session_id}@makegood"


def next_invitation(event: SessionFact, sequence: int | None, *, again: bool = False) -> Invitation | None:
    """The calendar message that follows from `event`, if any (RESC-4).

    `sequence` is that of the last invitation, None if the session was never invited to. It starts at 0 and rises by one;
    not if the last invitation was of this very event (`again`). Whether it is sent is another matter: a move that the
    member is not to be mailed about raises it all the same (RESC-2).
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
    """The STATUS of a session in the calendar that a person follows. A no-show stays there, apart from what was cancelled
    (NOSH-1)."""
    return _CALENDAR_STATUSES.get(status, "CANCELLED")
