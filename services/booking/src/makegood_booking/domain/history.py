"""What the history of a session says of each event: who, and what people want to know of it, without personal data."""

from __future__ import annotations

from makegood_contracts.events import (
    Actor,
    Event,
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionConfirmed,
    SessionDeclined,
    SessionJoined,
    SessionLeft,
    SessionRejected,
    SessionRequested,
)


def made_by(event: Event) -> Actor:
    """Who caused the event; `system` where it happened by itself."""
    match event:
        case SessionRequested():
            return event.booked_by
        case SessionConfirmed():
            return event.confirmed_by
        case SessionDeclined():
            return "provider"
        case SessionCancelled():
            return event.cancelled_by
        case SessionJoined() | SessionLeft():
            return event.party
        case MemberNoShow():
            return event.marked_by
        case _:
            return "system"


def detail(event: Event) -> str | None:
    """A few words on the event."""
    match event:
        case SessionRejected():
            return ", ".join(reason.code for reason in event.reasons)
        case SessionCancelled():
            return "credit forfeited" if event.forfeits else "credit returned"
        case ProviderMissed():
            return "nobody came" if event.absent_party == "both" else "the provider did not come"
        case _:
            return None
