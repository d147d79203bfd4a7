"""What availability does with each type of event, and with each kind of deadline."""

from __future__ import annotations

from typing import Final

from makegood_chassis.messaging.handlers import DeadlineRoutes, EventRoutes
from makegood_chassis.revocation import on_tokens_revoked
from makegood_contracts.events import (
    MemberNoShow,
    PersonErased,
    PolicyChanged,
    ProviderChanged,
    ProviderMissed,
    RoomClosed,
    RoomOpened,
    RoomRestarted,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionExtensionRequested,
    SessionMoveFunded,
    SessionRejected,
    SessionRequested,
    SessionReserved,
    TokensRevoked,
    WaitlistCandidateJudged,
)

from makegood_availability.dependencies import Dependencies
from makegood_availability.handlers.endings import HOLD_LAPSE, on_holds_due, on_session_reserved, releases
from makegood_availability.handlers.erasure import on_person_erased
from makegood_availability.handlers.moves import on_session_extension_requested, on_session_move_funded
from makegood_availability.handlers.proposals import (
    ENTRY,
    HORIZON,
    JOINED,
    OPENED,
    PASSED_OVER,
    VENUE_FREED,
    VENUE_KEPT_FREE,
)
from makegood_availability.handlers.requests import on_session_requested
from makegood_availability.handlers.rooms import on_room_changed
from makegood_availability.handlers.waitlist import (
    on_candidate_judged,
    on_entries_due,
    on_policy_changed,
    on_waitlists_due,
    on_waitlists_due_again,
)

EVENTS: Final[EventRoutes[Dependencies]] = {
    # Slots of sessions
    SessionRequested: on_session_requested,
    SessionReserved: on_session_reserved,
    SessionMoveFunded: on_session_move_funded,
    SessionExtensionRequested: on_session_extension_requested,
    # Every ending of a session releases its slot (CANC-3)
    SessionRejected: releases("rejected"),
    SessionDeclined: releases("declined"),
    SessionExpired: releases("expired"),
    SessionCancelled: releases("cancelled"),
    SessionCompleted: releases("completed"),
    ProviderMissed: releases("provider_missed"),
    MemberNoShow: releases("member_no_show"),
    # The waitlist
    RoomOpened: on_room_changed,
    RoomClosed: on_room_changed,
    RoomRestarted: on_room_changed,
    ProviderChanged: on_room_changed,
    WaitlistCandidateJudged: on_candidate_judged,
    PolicyChanged: on_policy_changed,
    # People
    PersonErased: on_person_erased,
    TokensRevoked: on_tokens_revoked,
}

DEADLINES: Final[DeadlineRoutes[Dependencies]] = {
    HOLD_LAPSE: on_holds_due,
    ENTRY: on_entries_due,
    OPENED: on_waitlists_due,
    HORIZON: on_waitlists_due,
    VENUE_FREED: on_waitlists_due,
    VENUE_KEPT_FREE: on_waitlists_due_again,
    JOINED: on_waitlists_due_again,
    PASSED_OVER: on_waitlists_due_again,
}
