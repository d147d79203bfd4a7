"""Disputes and corrections of a session's outcome (MISS-5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from makegood_contracts.events import DisputeClaim, OutcomeCorrected, OutcomeDisputed, Party, SessionOutcome

from makegood_booking.domain.attendance import after, as_of
from makegood_booking.domain.presence import AbsentParty
from makegood_booking.domain.session import Refusal, Session, Transition, happened

_NONE: Final = Refusal("no-outcome")
_ABSENT: Final[dict[SessionOutcome, AbsentParty | None]] = {
    "completed": None,
    "provider_missed": "provider",
    "member_no_show": "member",
}


def outcome(session: Session) -> SessionOutcome | None:
    """How a reserved session ended. None if it has no such outcome."""
    status = session.status
    return status if status in ("completed", "provider_missed", "member_no_show") else None


def outcome_missing(session: Session) -> Refusal | None:
    """Why the session, as it is now, has no outcome to dispute or correct."""
    return _NONE if outcome(session) is None else None


def dispute(session: Session, party: Party, claim: DisputeClaim, now: datetime) -> Transition | Refusal:
    """A party says that it was there, or that the other one was not (MISS-5). Nothing changes until support decides."""
    session, before = as_of(session, now)
    ended = outcome(session)
    if ended is None:
        return _NONE
    disputed = happened(session, OutcomeDisputed, {}, disputed_by=party, claim=claim, outcome=ended)
    return after(before, disputed)


def correct(session: Session, right: SessionOutcome, corrected_by: str, now: datetime) -> Transition | Refusal:
    """MISS-5: support corrects how the session ended. Earlier outcomes stay in the history and the ledger. A correction
    to the recorded outcome changes nothing.
    """
    session, before = as_of(session, now)
    ended = outcome(session)
    if ended is None:
        return _NONE
    if ended == right:
        return Transition(session, before)
    changes: dict[str, Any] = {
        "status": right,
        "absent_party": _ABSENT[right],
        "missed_at": now if right == "provider_missed" else None,
    }
    corrected = happened(
        session,
        OutcomeCorrected,
        changes,
        old_outcome=ended,
        outcome=right,
        corrected_by=corrected_by,
        corrected_at=now,
        no_show_forfeits=not session.moved_at_short_notice,
    )
    return after(before, corrected)
