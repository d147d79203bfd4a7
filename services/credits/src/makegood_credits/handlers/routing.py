"""What credits does with each type of event, and with each kind of deadline."""

from __future__ import annotations

from typing import Final

from makegood_chassis.messaging.handlers import DeadlineRoutes, EventRoutes
from makegood_chassis.revocation import on_tokens_revoked
from makegood_contracts.events import (
    MemberNoShow,
    OutcomeCorrected,
    PersonErased,
    PolicyChanged,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionExtended,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    TokensRevoked,
)

from makegood_credits.dependencies import Dependencies
from makegood_credits.handlers.corrections import on_outcome_corrected
from makegood_credits.handlers.deadlines import HOLD_LAPSE, INVOICE_OVERDUE, MEMBER, MOVE_LAPSE
from makegood_credits.handlers.endings import on_hold_lapse_due, on_session_ended
from makegood_credits.handlers.erasure import on_person_erased
from makegood_credits.handlers.holds import on_session_requested, on_session_reserved
from makegood_credits.handlers.invoices import on_invoice_overdue, on_session_extended
from makegood_credits.handlers.moves import (
    on_move_lapse_due,
    on_session_move_funded,
    on_session_move_refused,
    on_session_move_requested,
    on_session_moved,
)
from makegood_credits.handlers.periods import on_member_due
from makegood_credits.handlers.policies import on_policy_changed

EVENTS: Final[EventRoutes[Dependencies]] = {
    SessionRequested: on_session_requested,
    SessionReserved: on_session_reserved,
    SessionRejected: on_session_ended,
    SessionDeclined: on_session_ended,
    SessionExpired: on_session_ended,
    SessionCancelled: on_session_ended,
    SessionCompleted: on_session_ended,
    ProviderMissed: on_session_ended,
    MemberNoShow: on_session_ended,
    SessionMoveRequested: on_session_move_requested,
    SessionMoveFunded: on_session_move_funded,
    SessionMoved: on_session_moved,
    SessionMoveRefused: on_session_move_refused,
    SessionExtended: on_session_extended,
    OutcomeCorrected: on_outcome_corrected,
    PersonErased: on_person_erased,
    PolicyChanged: on_policy_changed,
    TokensRevoked: on_tokens_revoked,
}

DEADLINES: Final[DeadlineRoutes[Dependencies]] = {
    HOLD_LAPSE: on_hold_lapse_due,
    MEMBER: on_member_due,
    MOVE_LAPSE: on_move_lapse_due,
    INVOICE_OVERDUE: on_invoice_overdue,
}
