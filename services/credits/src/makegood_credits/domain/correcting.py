"""Support corrects how a session ended; its credit or co-pay follows by new entries (MISS-5)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from makegood_contracts.events import SessionOutcome

from makegood_credits.domain.book import Account, Book, EntryKind, LedgerEntry, Lot, Note
from makegood_credits.domain.endings import REASONS, Ending, Settlement
from makegood_credits.domain.guarantees import withdraw
from makegood_credits.domain.holding import Hold
from makegood_credits.domain.invoices import Invoice, issue_again, void
from makegood_credits.domain.settling import SETTLED_IN, return_lot

IMPLIED: Final[dict[SessionOutcome, Settlement]] = {
    "completed": "spent",
    "provider_missed": "returned",
    "member_no_show": "forfeited",
}


def implied(outcome: SessionOutcome, no_show_forfeits: bool) -> Settlement:
    """What becomes of a credit where a session ended so (JOIN-2, MISS-2, NOSH-1, RESC-3)."""
    return "returned" if outcome == "member_no_show" and not no_show_forfeits else IMPLIED[outcome]


def correct(
    book: Book,
    hold: Hold,
    old: Settlement,
    target: Settlement,
    *,
    came_back_to: Lot | None,
    made_by: str,
    now: datetime,
) -> LedgerEntry | Invoice | None:
    """The session's credit or co-pay becomes `target`, what the new outcome implies, after `old`, what the old one
    implied; None where nothing changes (MISS-5).

    `came_back_to`: the lot in which the session's credit arrived when it came back, if it ever did. The first time it comes
    back it is a `return` (one a hold, as the database guarantees); every later movement is an `adjust` that names the
    session. A credit that came back and was used since stays with the member: no balance becomes negative. So does one
    that support gave back by hand, however often the outcome is corrected.
    """
    stays = hold.by_hand or (hold.state == "returned" and old != "returned")
    if hold.state not in IMPLIED.values() or hold.state == target or stays:
        return None
    if hold.lot_id is None:
        return _correct_charge(book, hold, target, now)
    note = Note(now, made_by, REASONS["corrected"], hold.session_id, hold.id, "corrected")
    kind: EntryKind = "adjust"
    if target == "returned":
        kind = "return" if came_back_to is None else "adjust"
        source = SETTLED_IN[hold.state]  # type: ignore[index]
        destination = Account.available(return_lot(book, hold, Ending(target, "corrected", now, made_by), now))
    elif hold.state == "returned":
        if came_back_to is None or not came_back_to.available:
            return None
        withdraw(came_back_to, hold.id)
        source, destination = Account.available(came_back_to), SETTLED_IN[target]
    else:  # it is gone either way, so no balance moves
        source = SETTLED_IN[hold.state]  # type: ignore[index]
        destination = SETTLED_IN[target]._replace(lot=book.lots[hold.lot_id])
    hold.state = target
    return book.transfer(kind, source, destination, note)


def _correct_charge(book: Book, hold: Hold, target: Settlement, now: datetime) -> Invoice | None:
    """A co-pay is void where the provider missed the session, though it be paid (MISS-3), and due otherwise."""
    invoice, before = hold.invoice, hold.state
    hold.state = target
    if invoice is None:
        return None
    if target == "returned":
        return invoice if void(book, invoice, "corrected") else None
    return invoice if before == "returned" and issue_again(book, invoice, now) else None
