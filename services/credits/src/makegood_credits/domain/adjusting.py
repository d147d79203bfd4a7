"""CRED-5: support adjusts a balance, with a reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_credits.domain.book import ADJUSTED, Account, Book, LedgerEntry, Note
from makegood_credits.domain.enrolling import catch_up

AdjustmentRefusal = Literal["no-session-credits"]

LIMIT: Final = 10
"""The first policy's limit: credits that one person may adjust alone."""
DAY: Final = timedelta(days=1)


def needs_second_person(amount: int, given: int, limit: int) -> bool:
    """Whether `amount` is more than one support agent may give or take alone (CRED-5).

    What the agent gave the member within the last day (`given`) counts too, so that a large gift cannot be split.
    """
    return abs(amount) > limit or (amount > 0 and given + amount > limit)


def adjust(
    book: Book, amount: int, *, length_minutes: int | None, reason: str, made_by: str, now: datetime
) -> list[LedgerEntry] | AdjustmentRefusal:
    """Gives credits in a new lot that does not lapse, or takes away those that lapse first (CRED-5).

    Taking more than is available (of that length, if one is given) is refused as `no-session-credits`.
    """
    catch_up(book, now)
    note = Note(now, made_by, reason)
    if amount > 0:
        lot = book.open_lot("adjustment", length_minutes, None)
        return [book.transfer("adjust", ADJUSTED, Account.available(lot), note, amount)]
    lots = [
        lot
        for lot in book.lots.values()
        if lot.available and (length_minutes is None or lot.length_minutes in (None, length_minutes))
    ]
    if sum(lot.available for lot in lots) < -amount:
        return "no-session-credits"
    lots.sort(key=lambda lot: (lot.expires_at is None, lot.expires_at, lot.id))
    entries, left = [], -amount
    for lot in lots:
        part = min(left, lot.available)
        if part:
            entries.append(book.transfer("adjust", Account.available(lot), ADJUSTED, note, part))
            left -= part
    return entries
