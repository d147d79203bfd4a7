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
"""The least time for which a credit is valid if it is returned through no fault of the member (MISS-2)."""

SETTLED_IN: Final[dict[Settlement, Account]] = {"spent": SPENT, "forfeited": FORFEITED}
"""The account of a credit that was not returned."""
SOON: Final = timedelta(hours=1)
"""If the event about an ending takes longer, the thirty days run from its arrival."""
ReturnRefusal = Literal["credit-already-returned", "still-held", "nothing-taken"]


def settle(book: Book, hold: Hold, ending: Ending, now: datetime) -> LedgerEntry | Invoice | None:
    """CRED-3: settles the hold. None if it was settled before. The hold's lot must be in the book.

    A credit is forfeited (CANC-1, NOSH-1), spent (JOIN-2) or returned (see `return_lot`). A pending co-pay becomes void
    (MISS-3) when a credit would be returned, and due otherwise.
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
    """The lot that a returned credit goes to: its own (CRED-2), or a new one if its own does not keep it valid (MISS-2,
    MISS-4).

    The new lot is for returns that the member did not cause, if the own lot does not last thirty days. The new lot
    does, whatever the plan is.

    After a booking or move that never took place, the credit is as it would have been without it, but never lapsed.
    Otherwise a refused booking could prolong it. An earlier guarantee stays, whoever caused the return. Needs the
    member's enrolments if the lot belongs to no plan.
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
    """Guarantees the held credit when a member moves a session because of the provider (RESC-3, MISS-2).

    It is guaranteed as if it had been returned and held again.
    """
    if hold.state == "held" and hold.lot_id is not None:
        hold.guarantee = _guaranteed(hold, book.lots[hold.lot_id], _counts_from(moved_at, now) + MAKE_GOOD)


def _counts_from(moment: datetime, now: datetime) -> datetime:
    return moment if now - moment <= SOON else now


def _guaranteed(hold: Hold, lot: Lot, until: datetime) -> Guarantee | None:
    """What the credit is guaranteed for. None if the length is unknown, as in a hold of an earlier release (MISS-4)."""
    minutes = hold.length_minutes or lot.length_minutes
    if minutes is None:
        return None
    return Guarantee(minutes, until, hold.plan_id, lot.id, hold.session_id, hold.id)


def return_by_hand(
    book: Book, hold: Hold, *, reason: str, made_by: str, now: datetime, came_back: bool = False
) -> LedgerEntry | ReturnRefusal:
    """Support returns a spent or forfeited credit, once, to the same lot as after a missed session (MISS-2, MISS-5).

    A credit that was returned before is not returned again, even if a corrected outcome has taken it away since
    (`came_back`). In that case, correct the outcome again. A credit that is still held is settled when the session
    ends.
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
