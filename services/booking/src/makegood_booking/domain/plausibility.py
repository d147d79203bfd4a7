"""Checks other services' events against booking's own sessions, because a valid signature does not make an event true (SEC-7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events import (
    CreditCorrected,
    CreditForfeited,
    CreditReturned,
    CreditSpent,
    InvoiceVoided,
    SettleCause,
    SlotHeld,
    SlotMoved,
    SlotRefused,
    SlotReleased,
)
from makegood_contracts.events.possible import CLOCK_SKEW

from makegood_booking.domain.session import Session

_OF_ENDINGS: Final[frozenset[SettleCause]] = frozenset(
    {"rejected", "declined", "expired", "cancelled", "completed", "provider_missed", "member_no_show", "corrected"}
)
"""Causes with which a hold may be settled only after booking has published the session's end."""


def implausibility(event: Any, session: Session, now: datetime) -> FactRefusal | None:
    """Why the event cannot be true of this session. None if it can."""
    booked = session.booked
    if event.member_id != booked.member_id or getattr(event, "provider_id", booked.provider_id) != booked.provider_id:
        return "not-its-parties"
    match event:
        case SlotHeld() | SlotRefused() if session.slot == "asked":
            right = (event.starts_at, event.ends_at) == (booked.starts_at, booked.ends_at)
        case SlotMoved() if session.move is not None and session.move.id == event.move_id:
            right = (event.starts_at, event.ends_at) == (session.move.starts_at, session.move.ends_at)
        case CreditCorrected() | CreditSpent():
            right = session.over
        case CreditReturned() | CreditForfeited() if event.cause in _OF_ENDINGS:
            right = session.over
        case CreditReturned() | InvoiceVoided() | SlotReleased() if event.cause == "lapsed":
            if now + CLOCK_SKEW < booked.hold_until:
                return "before-its-time"
            right = True
        case _:
            right = True
    return None if right else "not-its-terms"
