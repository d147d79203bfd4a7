"""Checks booking's events against credits' own holds, because a valid signature does not make an event true (SEC-7)."""

from __future__ import annotations

from datetime import datetime

from makegood_contracts.currencies import currency_codes
from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events import SessionExtended
from makegood_contracts.events.possible import loses_without_reason, too_early
from makegood_contracts.events.sessions import SessionFact

from makegood_credits.domain.holding import Hold


def implausibility(event: SessionFact, hold: Hold | None, now: datetime) -> FactRefusal | None:
    """Why the event cannot be about the session that the hold is for. None if it can, or without a hold."""
    if hold is None:
        return None
    if event.member_id != hold.member_id:
        return "not-its-parties"
    if loses_without_reason(event):
        return "not-its-terms"
    return "before-its-time" if too_early(event, now, hold.starts_at, hold.ends_at) else None


def move_implausibility(event: SessionFact, hold: Hold | None, added: Hold | None, now: datetime) -> FactRefusal | None:
    """As `implausibility`. The hold that was added for a move must also be for the same session and member."""
    if added is not None and (added.session_id, added.member_id) != (event.session_id, event.member_id):
        return "not-its-parties"
    return implausibility(event, hold, now)


def charge_implausibility(event: SessionExtended, member_id: str | None) -> FactRefusal | None:
    """Why the extra time cannot be charged to `member_id`. None if it can, because the session's hold is theirs."""
    if member_id is None:
        return "unknown-session"
    if event.member_id != member_id:
        return "not-its-parties"
    charge = event.invoice
    owed = charge is None or (charge.amount_minor > 0 and charge.currency in currency_codes())
    return None if owed else "not-its-terms"
