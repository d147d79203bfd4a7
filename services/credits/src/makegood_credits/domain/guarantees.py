"""A returned credit pays for its length for thirty days, even if the plan is replaced in the meantime (MISS-4).

It stays in the lot that it came from (CRED-2) as long as that lot keeps it valid, and moves to a separate lot after
that.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from makegood_credits.domain.book import ADJUSTED, Account, Book, Guarantee, Lot, Note
from makegood_credits.domain.coverage import Enrolment, covers_throughout

SYSTEM: Final = "system"
_SET_APART: Final = "It was returned for a session that did not take place, and is valid whatever the plan is."
_BACK: Final = "Its plan continues, so the credit is back in its lot."


def take(lot: Lot, minutes: int, now: datetime) -> Guarantee | None:
    """Takes the guarantee of the credit that is about to be held: one for that length, or any if no other credit is
    left.
    """
    if not lot.guarantees:
        return None
    good = [each for each in lot.guarantees if each.until > now]
    fitting = [each for each in good if each.minutes == minutes] or (good if len(good) >= lot.available else [])
    taken = min(fitting, key=lambda each: each.until, default=None)
    lot.guarantees = tuple(each for each in good if each is not taken)
    return taken


def withdraw(lot: Lot, hold_id: str) -> None:
    """Removes the guarantee that this hold's credit got when it was returned (MISS-5)."""
    lot.guarantees = tuple(each for each in lot.guarantees if each.hold_id != hold_id)


def keeps(lot: Lot, guarantee: Guarantee, enrolments: Iterable[Enrolment], now: datetime) -> bool:
    """Whether a credit of the lot pays for the guaranteed length without a gap, as far as is known now.

    A plan's own credits lapse with its coverage. Other credits are only known to fit the plan that they came from.
    """
    if lot.expires_at is not None and lot.expires_at <= guarantee.until:
        return False
    if lot.period is not None or lot.made_for_minutes == guarantee.minutes:
        return True
    return covers_throughout(enrolments, guarantee.plan_id, now, guarantee.until)


def set_apart(book: Book, lot: Lot, guarantee: Guarantee) -> Lot:
    """A new lot for a credit that its own lot does not keep valid. It never lapses sooner than that lot."""
    target = open_made_good(book, lot, guarantee.until, guarantee.minutes, guarantee.plan_id)
    target.guarantees = (guarantee,)
    return target


def open_made_good(book: Book, lot: Lot, until: datetime, minutes: int | None, plan_id: str) -> Lot:
    """A lot for a credit of this lot that is made good at least until then."""
    return book.open_lot(
        "make_good",
        lot.length_minutes,
        None if lot.expires_at is None else max(lot.expires_at, until),
        made_for_minutes=minutes,
        made_under=plan_id if minutes else None,
    )


def keep_good(book: Book, now: datetime) -> None:
    """Applies guarantees after a change of coverage, before anything lapses (MISS-4, PLAN-1). Moves credits that their
    lot no longer keeps valid to separate lots, and moves them back if their plan continues. Needs every lot of the
    member's plans.
    """
    for lot in list(book.lots.values()):
        for guarantee in lot.guarantees:
            origin = book.lots.get(guarantee.lot_id)
            if origin is None or guarantee.until <= now:
                continue
            stays = keeps(origin, guarantee, book.enrolments, now)
            if origin is lot and not stays:
                _change_lot(book, lot, set_apart(book, lot, guarantee), guarantee, _SET_APART, now)
            elif origin is not lot and origin.period is not None and stays:
                origin.guarantees += (guarantee,)
                _change_lot(book, lot, origin, guarantee, _BACK, now)


def _change_lot(book: Book, lot: Lot, target: Lot, guarantee: Guarantee, reason: str, now: datetime) -> None:
    lot.guarantees = tuple(each for each in lot.guarantees if each is not guarantee)
    note = Note(now, SYSTEM, reason, guarantee.session_id, guarantee.hold_id)
    book.transfer("adjust", Account.available(lot), ADJUSTED, note)
    book.transfer("adjust", ADJUSTED, Account.available(target), note)
