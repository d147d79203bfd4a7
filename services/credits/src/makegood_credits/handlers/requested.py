"""SessionRequested: the credit or co-pay is set aside, or refused; SessionReserved: it stays so."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import CreditHeld, CreditRefused, SessionRequested, SessionReserved

from makegood_credits.domain.holding import Hold, HoldRequest, hold
from makegood_credits.handlers.due import lapse_bucket, set_due, set_lapse
from makegood_credits.handlers.facts import price, publish_entries
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store


async def on_requested(batch: Sequence[Received[SessionRequested]], unit: UnitOfWork) -> None:
    """BOOK-1, BOOK-4, CRED-2: one answer a session, in the topic's order; each sees what those before it took."""
    books = await book_store.load(unit, (received.event.member_id for received in batch))
    answered = await hold_store.known(unit, [received.event.session_id for received in batch])
    held: list[Hold] = []
    refused: dict[str, str] = {}
    due_before = {member: book.next_due for member, book in books.items()}
    for received in batch:
        event = received.event
        if event.session_id in answered:
            continue
        answered.add(event.session_id)
        book, cause = books[event.member_id], received.cause
        first = len(book.entries)
        outcome = hold(
            book,
            HoldRequest(
                event.session_id,
                event.provider_id,
                event.starts_at,
                event.ends_at,
                event.length_minutes,
                event.modality,
                event.booked_by,
                event.hold_until,
                event.specialty,
                event.co_pay_due_days,
            ),
            unit.now,
        )
        publish_entries(unit, book, book.entries[first:], cause)
        if isinstance(outcome, Hold):
            held.append(outcome)
            unit.publish(
                CreditHeld(
                    session_id=event.session_id,
                    member_id=event.member_id,
                    hold_id=outcome.id,
                    funding="co_pay" if outcome.invoice else "credit",
                    plan_id=outcome.plan_id,
                    lot_id=outcome.lot_id,
                    invoice_id=outcome.invoice.id if outcome.invoice else None,
                    available_after=book.available,
                    hold_until=event.hold_until,
                    co_pay=price(outcome.invoice.amount) if outcome.invoice else None,
                ),
                sequence=1,
                cause=cause,
            )
        else:
            refused[event.session_id] = event.member_id
            unit.publish(
                CreditRefused(
                    session_id=event.session_id,
                    member_id=event.member_id,
                    reasons=list(outcome.reasons),
                    purchasable=outcome.purchasable,
                ),
                sequence=1,
                cause=cause,
            )
    await book_store.save(unit, books.values())
    await hold_store.insert(unit, held)
    await hold_store.remember(unit, refused, "refused")
    for member, book in books.items():
        set_due(unit, member, due_before[member], book.next_due)
    for moment in {lapse_bucket(each.hold_until) for each in held}:
        set_lapse(unit, moment)


async def on_reserved(batch: Sequence[Received[SessionReserved]], unit: UnitOfWork) -> None:
    """The session is reserved: what is held for it does not lapse any more (AVAIL-4)."""
    await hold_store.make_firm(unit, [received.event.session_id for received in batch])
