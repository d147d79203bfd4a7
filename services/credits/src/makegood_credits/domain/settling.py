"""A hold is settled exactly once (CRED-3): spent, returned or forfeited; a co-pay becomes due or void."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_credits.domain.book import FORFEITED, SPENT, Account, Book, EntryKind, Guarantee, LedgerEntry, Lot, Note
from makegood_credits.domain.endings import REASONS, Ending, Settlement
from makegood_credits.domain.enrolling import expire
from makegood_credits.domain.guarantees import keeps, open_made_good, set_apart
from makegood_credits.domain.holding import Hold
from makegood_credits.domain.invoices import Invoice, issue, void

MAKE_GOOD: Final = timedelta(days=30)
"""How long a credit is valid at least that comes back through no fault of its member (MISS-2)."""

SETTLED_IN: Final[dict[Settlement, Account]] = {"spent": SPENT, "forfeited": FORFEITED}
"""Where a credit is that did not come back."""
SOON: Final = timedelta(hours=1)
"""News of an ending that takes longer counts as late, and the thirty days run from when it came."""
ReturnRefusal = Literal["credit-already-returned", "still-held", "nothing-taken"]


def settle(book: Book, hold: Hold, ending: Ending, now: datetime) -> LedgerEntry | Invoice | None:
    """CRED-3: settles the hold; None if it was settled before. The book must have the hold's lot.

    Forfeited (CANC-1, NOSH-1), spent (JOIN-2), or else back, see `return_lot`. A co-pay that was pending is void (MISS-3)
    where a credit would return, and due otherwise.
    """
    if hold.state != "held":
        return None
    hold.state = ending.settlement
    if hold.invoice is not None:
        if ending.settlement == "returned":
            changed = void(book, hold.invoice, ending.cause)
        else:
            changed = issue(book, hold.invoice, now, hold.co_pay_due_days)
        return hold.invoice if changed else None
    lot = book.lots[hold.lot_id or ""]
    note = Note(now, ending.made_by, ending.reason or REASONS[ending.cause], hold.session_id, hold.id, ending.cause)
    if ending.settlement != "returned":
        kind: EntryKind = "spend" if ending.settlement == "spent" else "forfeit"
        return book.transfer(kind, Account.held(lot), SETTLED_IN[ending.settlement], note)
    target = return_lot(book, hold, ending, now)
    entry = book.transfer("return", Account.held(lot), Account.available(target), note)
    if target.expires_at is not None and target.expires_at <= now:
        expire(book, target, now)
    return entry


def return_lot(book: Book, hold: Hold, ending: Ending, now: datetime) -> Lot:
    """A return goes back to its lot (CRED-2), or to a lot of its own, if that lot does not keep it good (MISS-2, MISS-4).

    That is where the member did not cause it and the lot does not last thirty days; its own lot does, whatever the plan is.

    A booking or move that never came to be leaves the credit as it would have been without it, but never lapsed: else a
    refused booking would prolong it. What was guaranteed of the credit before stays so, whoever gives it back. Needs the
    member's enrolments where the lot is of no plan.
    """
    since = _counts_from(ending.ended_at, now)
    lot = book.lots[hold.lot_id or ""]
    guarantee = _guaranteed(hold, lot, since + MAKE_GOOD) if ending.caused_by == "others" else hold.guarantee
    if guarantee is not None and guarantee.until > now:
        if guarantee.lot_id == lot.id and not keeps(lot, guarantee, book.enrolments, now):
            return set_apart(book, lot, guarantee)
        lot.guarantees += (guarantee,)
        return lot
    stands_until = since + MAKE_GOOD if ending.caused_by == "others" else since
    if ending.caused_by == "member" or (
        (lot.expires_at is None or lot.expires_at > stands_until)
        and (ending.caused_by == "nobody" or lot.period is not None)
    ):
        return lot
    return open_made_good(book, lot, since + MAKE_GOOD, hold.length_minutes or lot.length_minutes, hold.plan_id)


def guarantee_held(book: Book, hold: Hold, moved_at: datetime, now: datetime) -> None:
    """Guarantees what is held and goes on paying, when a member moves a session because of the provider (RESC-3, MISS-2).

    It is guaranteed as if it had come back for that and been set aside anew.
    """
    if hold.state == "held" and hold.lot_id is not None:
        hold.guarantee = _guaranteed(hold, book.lots[hold.lot_id], _counts_from(moved_at, now) + MAKE_GOOD)


def _counts_from(moment: datetime, now: datetime) -> datetime:
    return moment if now - moment <= SOON else now


def _guaranteed(hold: Hold, lot: Lot, until: datetime) -> Guarantee | None:
    """What the credit is good for from here; None where nobody knows the length, of a hold of an earlier release (MISS-4)."""
    minutes = hold.length_minutes or lot.length_minutes
    if minutes is None:
        return None
    return Guarantee(minutes, until, hold.plan_id, lot.id, hold.session_id, hold.id)


def return_by_hand(
    book: Book, hold: Hold, *, reason: str, made_by: str, now: datetime, came_back: bool = False
) -> LedgerEntry | ReturnRefusal:
    """Support gives back a credit that was spent or forfeited, once; where to, MISS-2 says as for a miss (MISS-5).

    What came back, by itself or by hand, does not come back again, also where a corrected outcome took it away since
    (`came_back`): then the outcome is to be corrected again. What is still held is settled as the session ends.
    """
    if hold.state == "returned" or came_back:
        return "credit-already-returned"
    if hold.state == "held":
        return "still-held"
    if hold.lot_id is None:
        return "nothing-taken"
    source = SPENT if hold.state == "spent" else FORFEITED
    hold.state, hold.by_hand = "returned", True
    target = return_lot(book, hold, Ending("returned", "support", now, made_by), now)
    return book.transfer(
        "return", source, Account.available(target), Note(now, made_by, reason, hold.session_id, hold.id)
    )
