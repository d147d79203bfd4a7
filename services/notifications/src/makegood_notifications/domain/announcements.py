"""NOTE-1: who is told what about an event: the template, to whom, and by which channels (ROOM-4).

A message that both parties may read is in the room's chat. One for a single person is in the app's list of messages
instead. Most are also sent by e-mail, and by WhatsApp to those who chose it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from makegood_contracts.events import (
    CreditReturned,
    MemberNoShow,
    OutcomeAsked,
    OutcomeCorrected,
    OutcomeDisputed,
    ProviderMissed,
    ReconfirmationAsked,
    SessionCancelled,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionMoved,
    SessionReconfirmed,
    SessionZoneChanged,
)
from makegood_contracts.events.sessions import Party, SessionFact

from makegood_notifications.domain.invitations import CHANGES, Invitation
from makegood_notifications.domain.notices import Content, Details, Notice, Source, session_content

Template = Literal[
    "session-confirmed",
    "session-declined",
    "session-expired",
    "session-cancelled-by-member",
    "session-cancelled-by-provider",
    "session-cancelled-by-system",
    "session-cancelled-with-provider",
    "session-cancelled-provider-gone",
    "session-moved-by-member",
    "session-moved-by-provider",
    "session-extended",
    "session-zone-changed",
    "session-reconfirmed",
    "provider-missed",
    "member-no-show",
    "outcome-disputed",
    "outcome-corrected",
    "credit-returned",
    "credit-corrected",
    "reminder",
    "invoice-issued",
    "invoice-overdue",
    "invoice-refunded",
    "purchase-refunded",
    "waitlist-offered",
    "waitlist-passed-over",
    "room-restarted",
    "provider-changed",
    "provider-gone",
    "reconfirm-asked",
    "to-provider-confirm",
    "to-provider-outcome",
    "to-provider-moved",
    "to-provider-cancelled",
    "to-provider-reminder",
    "to-provider-changed",
    "to-provider-member-gone",
    "to-provider-scheduled",
    "to-provider-unscheduled",
    "invitation-withdrawn",
    "address-confirm",
    "address-changed",
    "erasure-requested",
    "erasure-taken-back",
]


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message to one party, and the channels by which it is sent (see `Notice`)."""

    template: Template
    to: Party = "member"
    mail: bool = True
    chat: bool = True
    calendar: bool = False
    forfeits: bool = False
    tentative: bool = False
    details: Details | None = None

    def notice(self, content: Content, source: Source) -> Notice:
        """The announcement as a notice about `content`."""
        return Notice(self.template, self.to, content, source, self.mail, self.chat, self.calendar)


Announcements = tuple[Announcement, ...]

_CONFIRMED: Announcements = (Announcement("session-confirmed"),)
_DECLINED: Announcements = (Announcement("session-declined"),)
_EXPIRED: Announcements = (Announcement("session-expired"),)
_MISSED: Announcements = (Announcement("provider-missed"),)
_NO_SHOW: Announcements = (Announcement("member-no-show", forfeits=True),)
_FREE_NO_SHOW: Announcements = (Announcement("member-no-show"),)
_RECONFIRM: Announcements = (Announcement("reconfirm-asked", to="provider"),)
_RECONFIRMED: Announcements = (Announcement("session-reconfirmed", mail=False),)

REMINDERS: Announcements = (
    Announcement("reminder", chat=False),
    Announcement("to-provider-reminder", to="provider", chat=False),
)
"""To both parties, when the session is coming up (REM-1)."""
WAITS_FOR_CONFIRMATION = Announcement("to-provider-confirm", to="provider", chat=False)
"""To a provider who did not answer a new booking at once."""
INVOICE_ISSUED = Announcement("invoice-issued", chat=False)
INVOICE_OVERDUE = Announcement("invoice-overdue", chat=False)
INVOICE_REFUNDED = Announcement("invoice-refunded", chat=False)
PURCHASE_REFUNDED = Announcement("purchase-refunded", chat=False)
"""For the member only: what they owe and get back does not concern the room (EXT-1, CRED-7, MISS-3)."""
CREDIT_RETURNED = Announcement("credit-returned", mail=False)
CREDIT_CORRECTED = Announcement("credit-corrected", mail=False)
WAITLIST_OFFERED = Announcement("waitlist-offered")
WAITLIST_PASSED_OVER = Announcement("waitlist-passed-over", chat=False)
"""For the member only: why they could not book, such as what they owe, does not concern the room."""
ROOM_ENDED: dict[Party, Announcements] = {
    "provider": (Announcement("provider-gone"),),
    "member": (Announcement("to-provider-member-gone", to="provider", chat=False),),
}
"""Erased party → what the other party is told (NOTE-5)."""
ROOM_RESTARTED = Announcement("room-restarted", mail=False)
PROVIDER_CHANGED: Announcements = (
    Announcement("provider-changed", mail=False),
    Announcement("to-provider-changed", to="provider", chat=False),
)


def notices(event: SessionFact, source: Source, invitation: Invitation | None) -> list[Notice]:
    """What both parties are told about a session's event. `invitation` is the calendar message to attach."""
    return [
        one.notice(
            session_content(
                event, forfeits=one.forfeits, invitation=invitation, tentative=one.tentative, details=one.details
            ),
            source,
        )
        for one in announcements(event, invited=invitation is not None)
    ]


def announcements(event: SessionFact, *, invited: bool = False) -> Announcements:
    """The messages about a session's event, if anybody needs one. `invited`: both also get a calendar message. A
    rejected booking or a refused move makes no message, because the API answers it.
    """
    news = _news(event)
    if invited and not any(one.to == "provider" and one.mail for one in news):
        return (*news, _calendar(event))
    return news


def _news(event: SessionFact) -> Announcements:
    match event:
        case ProviderMissed():  # MISS-3: one e-mail with a link to rebook, and one chat message
            return _MISSED
        case SessionConfirmed():  # CONF-1
            return _CONFIRMED
        case SessionCancelled():  # CANC-1, CANC-2, ROOM-3
            return _cancelled(event)
        case SessionMoved():  # RESC-1, RESC-2
            return _moved(event)
        case SessionDeclined():
            return _DECLINED
        case SessionExpired():  # CONF-2
            return _EXPIRED
        case MemberNoShow():  # NOSH-1, RESC-3
            return _NO_SHOW if event.forfeits else _FREE_NO_SHOW
        case SessionExtended():  # EXT-1
            return (Announcement("session-extended"),)
        case SessionZoneChanged():  # the invitation follows, although the provider may leave out the e-mail about a move (RESC-5)
            return (Announcement("session-zone-changed", tentative=not event.confirmed),)
        case ReconfirmationAsked():  # CONF-3
            return _RECONFIRM
        case SessionReconfirmed():
            return _RECONFIRMED
        case OutcomeAsked():  # JOIN-3
            asks = Details(answer_by=event.answer_by)
            return (Announcement("to-provider-outcome", to="provider", chat=False, details=asks),)
        case OutcomeDisputed():  # MISS-5
            details = Details(party=event.disputed_by, outcome=event.outcome)
            return (Announcement("outcome-disputed", mail=False, details=details),)
        case OutcomeCorrected():  # MISS-5
            details = Details(outcome=event.outcome, old_outcome=event.old_outcome)
            return (Announcement("outcome-corrected", details=details),)
    return ()


def _cancelled(event: SessionCancelled) -> Announcements:
    """The member is told by e-mail, whoever cancelled. The provider is told if they did not cancel themselves."""
    if event.cause == "change_of_provider":  # the provider is told once, about the change itself
        return (Announcement("session-cancelled-with-provider", forfeits=event.forfeits),)
    if event.cause == "provider_erased":  # the other party is gone, so no other time can be booked
        return (Announcement("session-cancelled-provider-gone"),)
    if event.cause == "member_erased":
        details = Details(party=event.cancelled_by)
        return (Announcement("to-provider-cancelled", to="provider", chat=False, details=details),)
    if event.cancelled_by == "provider":
        said = Details(party="provider", sealed_remark=event.sealed_remark) if event.sealed_remark else None
        return (Announcement("session-cancelled-by-provider", details=said),)
    by_member = event.cancelled_by == "member"
    template: Template = "session-cancelled-by-member" if by_member else "session-cancelled-by-system"
    return (
        Announcement(template, forfeits=event.forfeits),
        Announcement(
            "to-provider-cancelled",
            to="provider",
            chat=False,
            details=Details(party=event.cancelled_by, sealed_remark=event.sealed_remark if by_member else None),
        ),
    )


def _moved(event: SessionMoved) -> Announcements:
    """`notify_member` decides only about the member's e-mail (RESC-2). The provider is told at once about a member's
    move, because they must confirm it again.
    """
    tentative = not event.confirmed
    details = _change_of_place(event)
    if event.moved_by == "provider":
        mail = event.notify_member
        return (Announcement("session-moved-by-provider", mail=mail, tentative=tentative, details=details),)
    return (
        Announcement("session-moved-by-member", forfeits=event.forfeits, tentative=tentative, details=details),
        Announcement("to-provider-moved", to="provider", chat=False, tentative=tentative, details=details),
    )


_CHANGES: dict[type[SessionFact], str] = {
    SessionConfirmed: "confirmed",
    SessionMoved: "moved",
    SessionExtended: "extended",
    SessionZoneChanged: "rezoned",
    SessionCancelled: "cancelled",
    SessionDeclined: "declined",
    SessionExpired: "expired",
    ProviderMissed: "provider_missed",
    MemberNoShow: "member_no_show",
}


def _calendar(event: SessionFact) -> Announcement:
    """The provider's calendar is updated like the member's, even if they made the change themselves (NOTE-1, RESC-4)."""
    stays = isinstance(event, (*CHANGES, SessionConfirmed))
    details = _change_of_place(event) if isinstance(event, SessionMoved) else Details()
    return Announcement(
        "to-provider-scheduled" if stays else "to-provider-unscheduled",
        to="provider",
        chat=False,
        calendar=True,
        tentative=isinstance(event, SessionMoved | SessionZoneChanged) and not event.confirmed,
        details=replace(details, change=_CHANGES[type(event)]),
    )


def _change_of_place(event: SessionMoved) -> Details:
    return Details(
        was_at=event.old_starts_at,
        was_until=event.old_ends_at,
        elsewhere=event.old_venue_id != event.venue_id,
        was_venue_id=event.old_venue_id,
        confirm_by=event.confirm_by,
    )


def tells_of_return(event: CreditReturned) -> bool:
    """Whether the room's chat mentions this return (ROOM-4). It does not if the booking never took effect, or if
    another credit replaced this one in a move.
    """
    return event.cause not in ("rejected", "moved")
