"""What people are told of a session's events: the template, and by which channels (NOTE-1, ROOM-4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from makegood_contracts.events import (
    CreditReturned,
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
)
from makegood_contracts.events.sessions import SessionFact

Template = Literal[
    "session-confirmed",
    "session-declined",
    "session-expired",
    "session-cancelled-by-member",
    "session-cancelled-by-provider",
    "session-cancelled-by-system",
    "provider-missed",
    "member-no-show",
    "credit-returned",
]

CANCELLED_BY: dict[str, Template] = {
    "member": "session-cancelled-by-member",
    "provider": "session-cancelled-by-provider",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event's message: an e-mail to the member, a system message in the room's chat, or both."""

    template: Template
    forfeits: bool = False


def announcement(event: SessionFact) -> Announcement | None:
    """What the member is told of `event` by e-mail and chat; None where nobody needs a message.

    A rejected booking is answered where it was asked for, so it makes no message.
    """
    match event:
        case SessionConfirmed():  # CONF-1
            return Announcement("session-confirmed")
        case SessionDeclined():
            return Announcement("session-declined")
        case SessionExpired():  # CONF-2
            return Announcement("session-expired")
        case SessionCancelled():  # CANC-1, CANC-2
            return Announcement(
                CANCELLED_BY.get(event.cancelled_by, "session-cancelled-by-system"), forfeits=event.forfeits
            )
        case ProviderMissed():  # MISS-3
            return Announcement("provider-missed")
        case MemberNoShow():  # NOSH-1
            return Announcement("member-no-show", forfeits=True)
    return None


def tells_of_return(event: CreditReturned) -> bool:
    """Whether the room's chat tells of this return (ROOM-4): not of a booking that never came about."""
    return event.cause != "rejected"
