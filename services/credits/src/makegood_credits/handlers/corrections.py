"""OutcomeCorrected: credits and charges follow, by new entries (MISS-5)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import OutcomeCorrected

from makegood_credits.domain.correcting import correct, implied
from makegood_credits.domain.endings import Ending
from makegood_credits.domain.holding import Hold
from makegood_credits.domain.plausibility import implausibility
from makegood_credits.handlers.endings import EndedSession, settle_sessions
from makegood_credits.handlers.invoices import issue_extensions_again, void_extensions
from makegood_credits.handlers.ledger import Books, ledger
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import reads


async def on_outcome_corrected(batch: Sequence[Received[OutcomeCorrected]], unit: UnitOfWork) -> None:
    """Corrects sessions one at a time, because corrections are rare and one may follow another (MISS-5)."""
    for received in batch:
        event = received.event
        async with ledger(unit, [event.member_id], book_store.lock) as books:
            holds = await hold_store.by_session(unit, [event.session_id], books)
            hold = holds.get(event.session_id)
            if (why := implausibility(event, hold, unit.now)) is not None:
                unit.refuse(received.id, why)
            elif hold is not None and hold.state == "held":
                # The original outcome never arrived, so the corrected one settles the hold.
                right = implied(event.outcome, event.no_show_forfeits)
                ending = Ending(right, "corrected", event.corrected_at, event.corrected_by)
                ended = EndedSession(event.session_id, event.member_id, ending, received.cause)
                await settle_sessions(unit, books, holds, [ended])
            elif hold is not None and hold.id is not None:
                await _correct(unit, books, hold, received)


async def _correct(unit: UnitOfWork, books: Books, hold: Hold, received: Received[OutcomeCorrected]) -> None:
    event = received.event
    old = implied(event.old_outcome, event.no_show_forfeits)
    right = implied(event.outcome, event.no_show_forfeits)
    before = hold.state
    lot_id = await reads.came_back_to(unit, hold.member_id, hold.id)
    if lot_id is not None:
        await book_store.add_lot(unit, books[hold.member_id], lot_id)
    await book_store.add_coverage(unit, books, [hold])
    book = books.of(hold.member_id, received.cause)
    came_back_to = book.lots[lot_id] if lot_id else None
    correct(book, hold, old, right, came_back_to=came_back_to, made_by=event.corrected_by, now=unit.now)
    if (
        hold.extended
    ):  # The outcome decides, not the credit, which may have been returned by hand, or stay because it was used.
        if right == "returned":
            await void_extensions(unit, books, {hold.session_id: (received.cause, "corrected")})
        elif old == "returned":
            await issue_extensions_again(unit, books, hold.session_id)
    if hold.state != before:
        await hold_store.settle(unit, [hold], [before])
