"""What a session's history says about each event: who caused it, and its details without personal data."""

from __future__ import annotations

from makegood_contracts.events import (
    Actor,
    Event,
    MemberNoShow,
    OutcomeCorrected,
    OutcomeDisputed,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionDeclined,
    SessionExtended,
    SessionExtensionRefused,
    SessionExtensionRequested,
    SessionJoined,
    SessionLeft,
    SessionMoved,
    SessionMoveRefused,
    SessionMoveRequested,
    SessionReconfirmed,
    SessionRejected,
    SessionRequested,
    SessionZoneChanged,
)

from makegood_booking.domain.time import local_text

_BECAUSE = {
    "time_off": "time off",
    "change_of_provider": "change of provider",
    "provider_erased": "the provider is no longer here",
    "member_erased": "the member is no longer here",
}


def made_by(event: Event) -> Actor:
    """Who caused the event; `system` if it happened automatically."""
    match event:
        case SessionRequested():
            return event.booked_by
        case SessionConfirmed():
            return event.confirmed_by
        case SessionDeclined() | SessionReconfirmed() | SessionExtensionRequested() | SessionExtended():
            return "provider"
        case SessionMoveRequested() | SessionMoved():
            return event.moved_by
        case SessionZoneChanged():
            return event.changed_by
        case OutcomeDisputed():
            return event.disputed_by
        case OutcomeCorrected():
            return "support"
        case SessionCancelled():
            return event.cancelled_by
        case SessionJoined():
            return "provider" if event.how == "provider" else event.party
        case SessionLeft():
            return event.party
        case MemberNoShow():
            return event.marked_by
        case SessionCompleted() | ProviderMissed():
            return event.told_by
        case _:
            return "system"


def detail(event: Event) -> str | None:
    """A few words about the event."""
    match event:
        case SessionRejected() | SessionMoveRefused() | SessionExtensionRefused():
            return ", ".join(reason.code for reason in event.reasons)
        case SessionCancelled():
            became = "credit forfeited" if event.forfeits else "credit returned"
            return f"{became} ({_BECAUSE[event.cause]})" if event.cause in _BECAUSE else became
        case SessionMoveRequested():
            return f"to {local_text(event.new_starts_at, event.new_time_zone)}"
        case SessionMoved():
            lost = ", credit forfeited" if event.forfeits else ""
            return f"from {local_text(event.old_starts_at, event.time_zone)}{lost}"
        case SessionZoneChanged():
            return f"{event.time_zone} instead of {event.old_time_zone}"
        case SessionExtensionRequested():
            return f"until {local_text(event.new_ends_at, event.time_zone)}"
        case SessionExtended():
            return f"until {local_text(event.ends_at, event.time_zone)}"
        case OutcomeDisputed():
            return event.claim
        case OutcomeCorrected():
            return f"{event.outcome} instead of {event.old_outcome}"
        case SessionJoined() if event.how != "joined":
            return "checked in at the venue" if event.how == "code" else "the member was checked in by the provider"
        case ProviderMissed():
            return "the two did not meet" if event.absent_party == "both" else "the provider was not there"
        case MemberNoShow():
            return "credit forfeited" if event.forfeits else "credit returned (moved at short notice)"
        case _:
            return None
