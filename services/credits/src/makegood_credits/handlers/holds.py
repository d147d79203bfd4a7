"""SessionRequested: holds a credit or co-pay, or refuses it. SessionReserved: the hold stays."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import CreditHeld, CreditRefused, SessionRequested, SessionReserved

from makegood_credits.domain.book import Book
from makegood_credits.domain.holding import Hold, HoldRefusal, HoldRequest, hold
from makegood_credits.handlers.deadlines import lapse_bucket, set_lapse
from makegood_credits.handlers.ledger import ledger
from makegood_credits.handlers.publishing import price
from makegood_credits.store import holds as hold_store


async def on_session_requested(batch: Sequence[Received[SessionRequested]], unit: UnitOfWork) -> None:
    """Answers each session once, in the topic's order. Each sees what earlier ones took (BOOK-1, BOOK-4, CRED-2)."""
    async with ledger(unit, (received.event.member_id for received in batch)) as books:
        answered = await hold_store.known(unit, [received.event.session_id for received in batch])
        held: list[Hold] = []
        refused: dict[str, str] = {}
        for received in batch:
            event = received.event
            if event.session_id in answered:
                continue
            answered.add(event.session_id)
            book = books.of(event.member_id, received.cause)
            result = hold(book, HoldRequest.of(event), unit.now)
            if isinstance(result, Hold):
                held.append(result)
            else:
                refused[event.session_id] = event.member_id
            books.publish(event.member_id)
            unit.publish(answer(event, book, result), sequence=1, cause=received.cause)
        await hold_store.insert_new(unit, held)
        hold_store.remember(unit, refused, "refused")
    for moment in {lapse_bucket(each.hold_until) for each in held}:
        set_lapse(unit, moment)


def answer(event: SessionRequested, book: Book, result: Hold | HoldRefusal) -> CreditHeld | CreditRefused:
    """The event that answers a booking."""
    if isinstance(result, HoldRefusal):
        return CreditRefused(
            session_id=event.session_id,
            member_id=event.member_id,
            reasons=list(result.reasons),
            purchasable=result.purchasable,
        )
    return CreditHeld(
        session_id=event.session_id,
        member_id=event.member_id,
        hold_id=result.id,
        funding="co_pay" if result.invoice else "credit",
        plan_id=result.plan_id,
        lot_id=result.lot_id,
        invoice_id=result.invoice.id if result.invoice else None,
        available_after=book.available,
        hold_until=event.hold_until,
        co_pay=price(result.invoice.amount) if result.invoice else None,
    )


async def on_session_reserved(batch: Sequence[Received[SessionReserved]], unit: UnitOfWork) -> None:
    """Makes the holds of reserved sessions firm, so that they no longer lapse (AVAIL-4)."""
    hold_store.make_firm(unit, [received.event.session_id for received in batch])
