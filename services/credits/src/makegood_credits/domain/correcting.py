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
    """What happens to the credit of a session with this outcome (JOIN-2, MISS-2, NOSH-1, RESC-3)."""
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
    """Changes the session's credit or co-pay from `old`, which the old outcome implied, to `target` (MISS-5). Returns
    None if nothing changes.

    `came_back_to` is the lot to which the credit last returned, if it ever did. Its first return is a `return` entry;
    the database allows one for each hold. Every later movement is an `adjust` that names the session. If a returned
    credit has been used since, it stays used, so that no balance becomes negative. A credit that support gave back by
    hand also stays with the member, however often the outcome is corrected.
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
    else:  # spent or forfeited: either way no balance changes
        source = SETTLED_IN[hold.state]  # type: ignore[index]
        destination = SETTLED_IN[target]._replace(lot=book.lots[hold.lot_id])
    hold.state = target
    return book.transfer(kind, source, destination, note)


def _correct_charge(book: Book, hold: Hold, target: Settlement, now: datetime) -> Invoice | None:
    """A co-pay is void if the provider missed the session, even if it was paid (MISS-3). Otherwise it is due."""
    invoice, before = hold.invoice, hold.state
    hold.state = target
    if invoice is None:
        return None
    if target == "returned":
        return invoice if void(book, invoice, "corrected") else None
    return invoice if before == "returned" and issue_again(book, invoice, now) else None
