"""What notifications does with each type of event, and with each kind of deadline."""

from __future__ import annotations

from typing import Final

from makegood_chassis.messaging.handlers import DeadlineRoutes, EventRoutes
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
    MemberNoShow,
    OutcomeAsked,
    OutcomeCorrected,
    OutcomeDisputed,
    PaymentRefunded,
    ProviderChanged,
    ProviderMissed,
    ReconfirmationAsked,
    RoomClosed,
    RoomOpened,
    RoomRestarted,
    SchedulePublished,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionExtensionRefused,
    SessionExtensionRequested,
    SessionJoined,
    SessionLeft,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionReconfirmed,
    SessionRejected,
    SessionReserved,
    SessionStarted,
    SessionZoneChanged,
    VenuePublished,
    WaitlistCandidatePassedOver,
    WaitlistEnded,
    WaitlistOffered,
    WaitlistOfferLapsed,
)

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.handlers.account import ERASURE, on_erasure_due
from makegood_notifications.handlers.credits import (
    on_credit_corrected,
    on_credit_movement,
    on_credit_returned,
    on_invoice_due,
    on_invoice_settled,
    on_payment_refunded,
)
from makegood_notifications.handlers.plans import (
    on_enrolment_ended,
    on_member_enrolled,
    on_schedule_published,
    on_venue_published,
)
from makegood_notifications.handlers.reminders import ASK, REMINDER, on_answer_due, on_reminder_due
from makegood_notifications.handlers.rooms import (
    follow_closed_rooms,
    follow_open_rooms,
    on_provider_changed,
    on_room_closed,
    on_room_restarted,
)
from makegood_notifications.handlers.sessions import follow_sessions, on_session_event, on_session_step
from makegood_notifications.handlers.waitlist import (
    follow_ended_offers,
    follow_offers,
    on_offer_ended,
    on_waitlist_offered,
    on_waitlist_passed_over,
)

# Not SessionRequested: a booking is told of once it is decided, a moment later.
EVENTS: Final[EventRoutes[Dependencies]] = {
    RoomOpened: follow_open_rooms,
    RoomRestarted: on_room_restarted,
    RoomClosed: on_room_closed,
    ProviderChanged: on_provider_changed,
    SessionReserved: on_session_event,
    SessionConfirmed: on_session_event,
    SessionDeclined: on_session_event,
    SessionExpired: on_session_event,
    SessionCancelled: on_session_event,
    SessionCompleted: on_session_event,
    ProviderMissed: on_session_event,
    MemberNoShow: on_session_event,
    SessionMoved: on_session_event,
    SessionExtended: on_session_event,
    SessionZoneChanged: on_session_event,
    ReconfirmationAsked: on_session_event,
    SessionReconfirmed: on_session_event,
    OutcomeAsked: on_session_event,
    OutcomeDisputed: on_session_event,
    OutcomeCorrected: on_session_event,
    SessionRejected: on_session_step,
    SessionJoined: on_session_step,
    SessionLeft: on_session_step,
    SessionStarted: on_session_step,
    SessionMoveRequested: on_session_step,
    SessionMoveFunded: on_session_step,
    SessionMoveRefused: on_session_step,
    SessionExtensionRequested: on_session_step,
    SessionExtensionRefused: on_session_step,
    MemberEnrolled: on_member_enrolled,
    EnrolmentEnded: on_enrolment_ended,
    SchedulePublished: on_schedule_published,
    VenuePublished: on_venue_published,
    WaitlistOffered: on_waitlist_offered,
    WaitlistOfferLapsed: on_offer_ended,
    WaitlistEnded: on_offer_ended,
    WaitlistCandidatePassedOver: on_waitlist_passed_over,
    CreditGranted: on_credit_movement,
    CreditExpired: on_credit_movement,
    CreditForfeited: on_credit_movement,
    CreditSpent: on_credit_movement,
    CreditAdjusted: on_credit_movement,
    LotExpiryChanged: on_credit_movement,
    CreditReturned: on_credit_returned,
    CreditCorrected: on_credit_corrected,
    InvoiceIssued: on_invoice_due,
    InvoiceOverdue: on_invoice_due,
    InvoicePaid: on_invoice_settled,
    InvoiceVoided: on_invoice_settled,
    PaymentRefunded: on_payment_refunded,
}

DEADLINES: Final[DeadlineRoutes[Dependencies]] = {
    REMINDER: on_reminder_due,
    ASK: on_answer_due,
    ERASURE: on_erasure_due,
}

READ_MODELS: Final[EventRoutes[Dependencies]] = {
    RoomOpened: follow_open_rooms,
    RoomRestarted: follow_open_rooms,
    RoomClosed: follow_closed_rooms,
    ProviderChanged: follow_closed_rooms,
    **{kind: follow_sessions for kind, handler in EVENTS.items() if handler is on_session_event},
    MemberEnrolled: on_member_enrolled,
    EnrolmentEnded: on_enrolment_ended,
    SchedulePublished: on_schedule_published,
    VenuePublished: on_venue_published,
    WaitlistOffered: follow_offers,
    WaitlistOfferLapsed: follow_ended_offers,
    WaitlistEnded: follow_ended_offers,
}
"""The handlers that rebuild the read models from the topics and tell nobody. They can run in place of EVENTS."""
