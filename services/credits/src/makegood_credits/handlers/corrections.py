"""OutcomeCorrected: credits and charges follow by new entries (MISS-5)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import OutcomeCorrected

from makegood_credits.domain.believing import disbelieved
from makegood_credits.domain.book import LedgerEntry
from makegood_credits.domain.correcting import correct, implied
from makegood_credits.domain.invoices import OPEN, Invoice
from makegood_credits.domain.settling import Ending
from makegood_credits.handlers.due import set_due
from makegood_credits.handlers.endings import EndedSession, settle_all
from makegood_credits.handlers.facts import publish_charge, publish_entries
from makegood_credits.handlers.invoices import issue_extensions_again, void_extensions
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import reads
from makegood_credits.store import refunds as refund_store


async def on_corrected(batch: Sequence[Received[OutcomeCorrected]], unit: UnitOfWork) -> None:
    """MISS-5: each by itself: corrections are rare, and one may follow another."""
    for received in batch:
        await _correct(received, unit)


async def _correct(received: Received[OutcomeCorrected], unit: UnitOfWork) -> None:
    event, cause = received.event, received.cause
    books = await book_store.lock(unit, [event.member_id])
    hold = (await hold_store.by_session(unit, [event.session_id], books)).get(event.session_id)
    if (why := disbelieved(event, hold, unit.now)) is not None:
        unit.refuse(received.id, why)
        return
    if hold is None or hold.id is None:
        return
    old = implied(event.old_outcome, event.no_show_forfeits)
    right = implied(event.outcome, event.no_show_forfeits)
    if hold.state == "held":  # its outcome never came through: the corrected one settles it
        ending = Ending(right, "corrected", event.corrected_at, event.corrected_by)
        await settle_all(unit, [EndedSession(event.session_id, event.member_id, ending, cause)])
        return
    book = books[hold.member_id]
    due_before, before = book.next_due, hold.state
    lot_id = await reads.came_back_to(unit, hold.member_id, hold.id)
    if lot_id is not None:
        await book_store.add_lots(unit, books, [lot_id])
    await book_store.add_coverage(unit, books, [hold])
    charged = None if hold.invoice is None else hold.invoice.status
    outcome = correct(
        book,
        hold,
        old,
        right,
        came_back_to=book.lots[lot_id] if lot_id else None,
        made_by=event.corrected_by,
        now=unit.now,
    )
    if isinstance(outcome, LedgerEntry):
        publish_entries(unit, book, [outcome], cause, "corrected")
    elif isinstance(outcome, Invoice):
        if charged == "paid":
            await refund_store.owe(unit, [outcome.id])
        publish_charge(
            unit,
            book,
            outcome,
            cause,
            "corrected",
            was_due=charged in OPEN or charged == "paid",
            refunds=charged == "paid",
        )
    if hold.extended:  # the outcome decides, not the credit, which may have come back by hand or stay for it was used
        if right == "returned":
            await void_extensions(unit, books, {hold.session_id: (cause, "corrected")})
        elif old == "returned":
            await issue_extensions_again(unit, book, hold.session_id, cause)
    await book_store.save(unit, [book])
    if hold.state != before:
        await hold_store.settle(unit, [hold], [before])
    set_due(unit, book.member_id, due_before, book.next_due)
