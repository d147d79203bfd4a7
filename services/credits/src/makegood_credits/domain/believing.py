"""SEC-7: what credits believes of a session's events, however well they are signed: only what can be of its own hold."""

from __future__ import annotations

from datetime import datetime

from makegood_contracts.currencies import currency_codes
from makegood_contracts.event_refusals import FactRefusal
from makegood_contracts.events import SessionExtended
from makegood_contracts.events.possible import loses_without_reason, too_early
from makegood_contracts.events.sessions import SessionFact

from makegood_credits.domain.holding import Hold


def disbelieved(event: SessionFact, hold: Hold | None, now: datetime) -> FactRefusal | None:
    """Why the event cannot be of the session that the hold is for; None where it can. Without a hold nothing is at stake."""
    if hold is None:
        return None
    if event.member_id != hold.member_id:
        return "not-its-parties"
    if loses_without_reason(event):
        return "not-its-terms"
    return "before-its-time" if too_early(event, now, hold.starts_at, hold.ends_at) else None


def disbelieved_move(event: SessionFact, hold: Hold | None, added: Hold | None, now: datetime) -> FactRefusal | None:
    """As `disbelieved`; what was added for a move is for this very session, too."""
    if added is not None and (added.session_id, added.member_id) != (event.session_id, event.member_id):
        return "not-its-parties"
    return disbelieved(event, hold, now)


def disbelieved_charge(event: SessionExtended, member_id: str | None) -> FactRefusal | None:
    """Why nothing is charged for the session, which is held for `member_id`: nobody pays for what credits never heard of,
    nor what is no money."""
    if member_id is None:
        return "unknown-session"
    if event.member_id != member_id:
        return "not-its-parties"
    charge = event.invoice
    owed = charge is None or (charge.amount_minor > 0 and charge.currency in currency_codes())
    return None if owed else "not-its-terms"
