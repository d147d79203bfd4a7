"""What the end of a session means for its credit: JOIN-2, MISS-2, CANC-1, CANC-2, NOSH-1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from makegood_contracts.events import (
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionMoved,
    SessionRejected,
    SettleCause,
)

Settlement = Literal["spent", "returned", "forfeited"]
"""What becomes of a credit that was held."""
CausedBy = Literal["member", "others", "nobody"]
"""Who caused the return of a credit. `nobody`: what it was set aside for never took place."""
EndingEvent: TypeAlias = (
    SessionCompleted
    | ProviderMissed
    | MemberNoShow
    | SessionCancelled
    | SessionDeclined
    | SessionExpired
    | SessionRejected
)

REASONS: Final[dict[SettleCause, str]] = {
    "rejected": "The booking was refused.",
    "declined": "The provider declined the session.",
    "expired": "The provider did not confirm the session in time.",
    "cancelled": "The session was cancelled.",
    "completed": "The session took place.",
    "provider_missed": "The provider missed the session.",
    "member_no_show": "The member did not come to the session.",
    "lapsed": "The booking was not finished in time.",
    "support": "Returned by support.",
    "moved": "The session was moved.",
    "corrected": "The session's outcome was corrected.",
}
MOVED_AT_SHORT_NOTICE: Final = "The member did not come, but the provider had moved the session at short notice."
"""Why the credit of a no-show returns (RESC-3)."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of a session means for its credit, and who caused it. `ended_at` matters for MISS-2."""

    settlement: Settlement
    cause: SettleCause
    ended_at: datetime
    made_by: str = "system"
    reason: str | None = None
    """The reason to show, if it is not the usual sentence for the cause."""
    caused_by: CausedBy = "others"
    """If the member caused the return, the credit's validity stays as it was (MISS-2)."""


def ending_of(event: EndingEvent, published_at: datetime) -> Ending:
    """MISS-2: what happens to the credit of a session that ended like this (JOIN-2, CANC-1, CANC-2, NOSH-1)."""
    match event:
        case SessionCompleted():
            return Ending("spent", "completed", published_at)
        case ProviderMissed():
            return Ending("returned", "provider_missed", event.missed_at)
        case MemberNoShow():
            who = event.provider_id if event.marked_by == "provider" else event.marked_by
            if not event.forfeits:  # RESC-3
                return Ending("returned", "member_no_show", published_at, who, MOVED_AT_SHORT_NOTICE)
            return Ending("forfeited", "member_no_show", published_at, who)
        case SessionCancelled():
            people = {"member": event.member_id, "provider": event.provider_id}
            return Ending(
                "forfeited" if event.forfeits else "returned",
                "cancelled",
                event.cancelled_at,
                people.get(event.cancelled_by, event.cancelled_by),
                caused_by="member" if member_caused(event) else "others",
            )
        case SessionDeclined():
            return Ending("returned", "declined", published_at, event.provider_id)
        case SessionExpired():
            return Ending("returned", "expired", published_at)
        case SessionRejected():
            return Ending("returned", "rejected", published_at, caused_by="nobody")


def member_caused(event: SessionCancelled) -> bool:
    """Whether a cancellation is the member's own doing (MISS-2).

    It is not if they change provider (ROOM-3) or cancel because of something the provider did.
    """
    return event.cancelled_by == "member" and event.cause == "asked" and not event.caused_by_provider


def replaced_by_move(event: SessionMoved) -> Ending:
    """What happens to a moved session's credit if another credit replaces it (RESC-1)."""
    members_own = event.moved_by == "member" and not event.caused_by_provider
    return Ending(
        "forfeited" if event.forfeits else "returned",
        "moved",
        event.moved_at,
        mover(event),
        caused_by="member" if members_own else "others",
    )


def mover(event: SessionMoved) -> str:
    """Who moved the session."""
    return event.member_id if event.moved_by == "member" else event.provider_id


def hold_lapsed(now: datetime) -> Ending:
    """The session was never reserved (AVAIL-4)."""
    return Ending("returned", "lapsed", now, caused_by="nobody")


def move_dropped(now: datetime) -> Ending:
    """The move does not take place, so what was added for it is returned (RESC-1)."""
    return Ending("returned", "moved", now, reason="The session was not moved after all.", caused_by="nobody")
