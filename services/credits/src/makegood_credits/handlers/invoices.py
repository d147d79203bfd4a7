"""Charges: those of extensions, those that are void again, those that fall overdue (EXT-1, MISS-3, CRED-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import SessionExtended, SettleCause

from makegood_credits.domain.believing import disbelieved_charge
from makegood_credits.domain.book import Book
from makegood_credits.domain.invoices import Invoice, extension, fall_overdue, issue_again, void, void_by_hand
from makegood_credits.domain.plans import Money
from makegood_credits.handlers.facts import publish_charge
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store import refunds as refund_store


async def on_extended(batch: Sequence[Received[SessionExtended]], unit: UnitOfWork) -> None:
    """EXT-1: what the provider asks for the extension is charged. The invoice has the extension's own id, so that one
    extension is never charged twice."""
    charged: dict[str, tuple[Invoice, Cause]] = {}
    asking = [received for received in batch if received.event.invoice is not None]
    members = await hold_store.members_of(unit, [received.event.session_id for received in asking]) if asking else {}
    for received in asking:
        event, wish = received.event, received.event.invoice
        if (why := disbelieved_charge(event, members.get(event.session_id))) is not None:
            unit.refuse(received.id, why)
        elif wish is not None:
            amount = Money(wish.amount_minor, wish.currency)
            invoice = extension(event.move_id, event.member_id, event.session_id, amount, wish.due_on, event.time_zone)
            charged[invoice.id] = (invoice, received.cause)
    if not charged:
        return
    invoices = [invoice for invoice, _ in charged.values()]
    books = await book_store.lock_open(unit, (invoice.member_id for invoice in invoices))
    holds = await hold_store.by_session(unit, [invoice.session_id for invoice in invoices], books)
    new = await invoice_store.insert(unit, invoices)
    for invoice, cause in charged.values():
        if invoice.id in new:
            publish_charge(unit, books[invoice.member_id], invoice, cause)
    for hold in holds.values():
        hold.extended = True
    await hold_store.mark(unit, list(holds.values()))
    await book_store.save(unit, books.values())


async def void_extensions(
    unit: UnitOfWork, books: Mapping[str, Book], sessions: Mapping[str, tuple[Cause, SettleCause]]
) -> None:
    """MISS-3: nothing is charged for sessions that gave their credit back: their extensions are void, and what was paid of
    them goes back.

    The books are locked; whoever calls this saves them.
    """
    voided, paid = [], []
    for invoice in await invoice_store.extensions(unit, list(sessions)):
        book, was_paid = books[invoice.member_id], invoice.status == "paid"
        if void(book, invoice):
            voided.append(invoice)
            if was_paid:
                paid.append(invoice.id)
            cause, settled_by = sessions[invoice.session_id]
            publish_charge(unit, book, invoice, cause, settled_by, was_due=True, refunds=was_paid)
    await invoice_store.save(unit, voided)
    await refund_store.owe(unit, paid)


async def drop_extensions(
    unit: UnitOfWork, books: Mapping[str, Book], sessions: Mapping[str, tuple[Cause, str]]
) -> None:
    """EXT-1: a session that was moved to another length has no extension any more. What it would have cost is void for good, and
    what was paid of it goes back. `sessions`: the cause, and whose move it was.

    The books are locked; whoever calls this saves them.
    """
    if not sessions:
        return
    dropped, paid = [], []
    for invoice in await invoice_store.extensions(unit, list(sessions)):
        cause, moved_by = sessions[invoice.session_id]
        book, was_paid = books[invoice.member_id], invoice.status == "paid"
        if void_by_hand(book, invoice, moved_by):
            dropped.append(invoice)
            if was_paid:
                paid.append(invoice.id)
            publish_charge(unit, book, invoice, cause, "moved", was_due=True, refunds=was_paid)
    await invoice_store.save(unit, dropped)
    await invoice_store.keep_dropped(unit, dropped)
    await refund_store.owe(unit, paid)


async def issue_extensions_again(unit: UnitOfWork, book: Book, session_id: str, cause: Cause) -> None:
    """MISS-5: the session was not missed after all, so what its extensions cost is due again, as its co-pay is.

    The book is locked; whoever calls this saves it.
    """
    invoices = await invoice_store.extensions(unit, [session_id])
    again = [invoice for invoice in invoices if issue_again(invoice, unit.now)]
    for invoice in again:
        publish_charge(unit, book, invoice, cause, "corrected")
    await invoice_store.save(unit, again)


async def void_by_support(
    unit: UnitOfWork, member: str, invoice_id: str, *, reason: str, made_by: str
) -> Literal["voided", "void"] | None:
    """CRED-7: support voids a charge, with a reason; what was paid of it goes back. `void`: it was already. None: the member
    has no such charge."""
    book = (await book_store.lock(unit, [member])).get(member)
    invoice = (await invoice_store.by_id(unit, [invoice_id])).get(invoice_id)
    if book is None or invoice is None or invoice.member_id != member:
        return None
    was = invoice.status
    if not void_by_hand(book, invoice, made_by):
        return "void"
    publish_charge(unit, book, invoice, unit.cause, was_due=was != "pending", refunds=was == "paid")
    await invoice_store.save(unit, [invoice])
    await invoice_store.keep_void(unit, invoice, reason)
    if was == "paid":
        await refund_store.owe(unit, [invoice.id])
    await book_store.save(unit, [book])
    return "voided"


async def on_overdue(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """CRED-7: what is not paid by the end of the day it was due on is overdue, and blocks booking (BOOK-7)."""
    ids = [due.entity_id for due in batch]
    books = await book_store.lock(unit, await invoice_store.members_of(unit, ids))
    late = []
    for invoice in (await invoice_store.by_id(unit, ids)).values():
        book = books[invoice.member_id]
        if fall_overdue(book, invoice, unit.now):
            late.append(invoice)
            publish_charge(unit, book, invoice, unit.cause)
    await book_store.save(unit, books.values())
    await invoice_store.save(unit, late)
