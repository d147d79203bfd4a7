"""What booking does with each type of event, and with each kind of deadline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from makegood_chassis.messaging.handlers import DeadlineRoutes, EventRoutes
from makegood_chassis.revocation import on_tokens_revoked
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditForfeited,
    CreditGranted,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    LotExpiryChanged,
    MemberEnrolled,
    MessagePosted,
    MoveCreditHeld,
    MoveCreditRefused,
    PersonErased,
    RemarkKeyPublished,
    SchedulePublished,
    ScheduleWithdrawn,
    SlotHeld,
    SlotMoved,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
    TimeOffAdded,
    TimeOffRemoved,
    TokensRevoked,
    VenueCodeChanged,
    WaitlistCandidatePassedOver,
    WaitlistCandidateProposed,
    WaitlistEnded,
    WaitlistJoined,
    WaitlistOffered,
    WaitlistOfferLapsed,
)

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.booking import (
    co_pay_lapsed,
    credit_corrected,
    credit_held,
    credit_refused,
    credit_settled,
    slot_held,
    slot_lapsed,
    slot_refused,
)
from makegood_booking.domain.moves import move_credit_held, move_credit_refused, slot_move_refused, slot_moved
from makegood_booking.handlers.candidates import on_candidate_proposed
from makegood_booking.handlers.erasure import PERSON_ERASED, on_person_erased, on_person_erased_due
from makegood_booking.handlers.read_models import (
    on_credits_moved,
    on_enrolled,
    on_invoices_overdue,
    on_invoices_settled,
    on_member_seen,
    on_remark_keys,
    on_schedule_published,
    on_schedule_withdrawn,
    on_time_off_added,
    on_time_off_removed,
    on_venue_code,
    on_waitlist,
)
from makegood_booking.handlers.room_changes import ROOM_LEFT, on_room_left_due
from makegood_booking.handlers.sessions import Rule, applies, on_session_due
from makegood_booking.store.sessions import DEADLINE

ANSWERS: Final[Mapping[type[Event], Rule]] = {
    # To bookings and moves
    SlotHeld: slot_held,
    SlotRefused: slot_refused,
    SlotReleased: slot_lapsed,
    SlotMoved: slot_moved,
    SlotMoveRefused: slot_move_refused,
    CreditHeld: credit_held,
    CreditRefused: credit_refused,
    MoveCreditRefused: move_credit_refused,
    # What became of credits
    CreditSpent: credit_settled,
    CreditForfeited: credit_settled,
}
"""Events of other services, and the rule by which each changes its session."""

EVENTS: Final[EventRoutes[Dependencies]] = {
    # Sessions, credits and invoices
    **dict.fromkeys(ANSWERS, applies(ANSWERS)),
    MoveCreditHeld: applies({MoveCreditHeld: move_credit_held}, also=on_credits_moved),
    CreditReturned: applies({CreditReturned: credit_settled}, also=on_credits_moved),
    CreditCorrected: applies({CreditCorrected: credit_corrected}, also=on_credits_moved),
    CreditGranted: on_credits_moved,
    CreditAdjusted: on_credits_moved,
    CreditExpired: on_credits_moved,
    LotExpiryChanged: on_credits_moved,
    InvoiceOverdue: on_invoices_overdue,
    InvoicePaid: on_invoices_settled,
    InvoiceVoided: applies({InvoiceVoided: co_pay_lapsed}, also=on_invoices_settled),
    MemberEnrolled: on_enrolled,
    # Providers' time
    SchedulePublished: on_schedule_published,
    ScheduleWithdrawn: on_schedule_withdrawn,
    TimeOffAdded: on_time_off_added,
    TimeOffRemoved: on_time_off_removed,
    VenueCodeChanged: on_venue_code,
    # The waitlist
    WaitlistJoined: on_member_seen,
    WaitlistCandidateProposed: on_candidate_proposed,
    WaitlistCandidatePassedOver: on_waitlist,
    WaitlistOffered: on_waitlist,
    WaitlistOfferLapsed: on_waitlist,
    WaitlistEnded: on_waitlist,
    # People
    MessagePosted: on_member_seen,
    PersonErased: on_person_erased,
    RemarkKeyPublished: on_remark_keys,
    TokensRevoked: on_tokens_revoked,
}

DEADLINES: Final[DeadlineRoutes[Dependencies]] = {
    DEADLINE: on_session_due,
    ROOM_LEFT: on_room_left_due,
    PERSON_ERASED: on_person_erased_due,
}


def is_relevant(event: Event) -> bool:
    """Whether booking reacts to the event. Of released slots, only the lapsed ones matter.

    Every ending of a session releases a slot, and booking itself decided those.
    """
    return not isinstance(event, SlotReleased) or event.cause == "lapsed"
