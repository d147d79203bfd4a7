"""Which handler takes which event. The topics to read follow from these tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import EventHandlers
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditForfeited,
    CreditGranted,
    CreditReturned,
    CreditSpent,
    EnrolmentEnded,
    InvoiceIssued,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    LotExpiryChanged,
    MemberEnrolled,
    PaymentRefunded,
    ProviderChanged,
    RoomClosed,
    RoomOpened,
    RoomRestarted,
    SchedulePublished,
    SessionExtensionRefused,
    SessionExtensionRequested,
    SessionJoined,
    SessionLeft,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionRejected,
    SessionRequested,
    SessionStarted,
    VenuePublished,
    WaitlistCandidatePassedOver,
    WaitlistEnded,
    WaitlistOffered,
    WaitlistOfferLapsed,
)

from makegood_notifications.handlers import venues
from makegood_notifications.handlers.credits import CreditMessages
from makegood_notifications.handlers.plans import PlanModel, WaitlistMessages
from makegood_notifications.handlers.rooms import RoomMessages, RoomModel
from makegood_notifications.handlers.sessions import FOLLOWED, SessionMessages, follow

ONLY_STREAMED = (
    SessionRequested, SessionRejected, SessionJoined, SessionLeft, SessionStarted, SessionMoveRequested,
    SessionMoveFunded, SessionMoveRefused, SessionExtensionRequested, SessionExtensionRefused,
)  # fmt: skip
CREDIT_MOVEMENTS = (
    CreditGranted, CreditExpired, CreditForfeited, CreditSpent, CreditAdjusted, LotExpiryChanged,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Handlers:
    """Everything that takes events."""

    rooms: RoomModel
    plans: PlanModel
    sessions: SessionMessages
    room_messages: RoomMessages
    credits: CreditMessages
    waitlist: WaitlistMessages


def read_model_handlers(rooms: RoomModel, plans: PlanModel) -> EventHandlers:
    """What rebuilds the read models from the topics and tells nobody."""

    async def followed(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        await follow(batch, unit)

    return {
        RoomOpened: rooms.opened,
        RoomClosed: rooms.closed,
        RoomRestarted: rooms.restarted,
        ProviderChanged: rooms.left,
        MemberEnrolled: plans.enrolled,
        EnrolmentEnded: plans.ended,
        SchedulePublished: plans.published,
        VenuePublished: venues.published,
        WaitlistOffered: plans.offered,
        WaitlistOfferLapsed: plans.closed,
        WaitlistEnded: plans.closed,
        **dict.fromkeys(FOLLOWED, followed),
    }


def event_handlers(handlers: Handlers) -> EventHandlers:
    """What the service does with events as they happen."""
    return {
        **read_model_handlers(handlers.rooms, handlers.plans),
        **dict.fromkeys(FOLLOWED, handlers.sessions.followed),
        **dict.fromkeys(ONLY_STREAMED, handlers.sessions.passing),
        **dict.fromkeys(CREDIT_MOVEMENTS, handlers.credits.changed),
        CreditReturned: handlers.credits.returned,
        CreditCorrected: handlers.credits.corrected,
        InvoiceIssued: handlers.credits.invoice_due,
        InvoiceOverdue: handlers.credits.invoice_due,
        InvoicePaid: handlers.credits.invoice_settled,
        InvoiceVoided: handlers.credits.invoice_settled,
        PaymentRefunded: handlers.credits.refunded,
        RoomClosed: handlers.room_messages.closed,
        RoomRestarted: handlers.room_messages.restarted,
        ProviderChanged: handlers.room_messages.left,
        WaitlistOffered: handlers.waitlist.offered,
        WaitlistOfferLapsed: handlers.waitlist.closed,
        WaitlistEnded: handlers.waitlist.closed,
        WaitlistCandidatePassedOver: handlers.waitlist.passed_over,
    }
