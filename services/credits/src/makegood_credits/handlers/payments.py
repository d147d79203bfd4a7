"""Buying credits and paying charges: what is asked of the payment provider, and what its web-hooks do (CRED-6, CRED-7)."""

from __future__ import annotations

from typing import Literal

import structlog
from makegood_chassis.database import Database, UnitOfWork
from makegood_contracts.ids import is_id

from makegood_credits.domain.book import Book
from makegood_credits.domain.invoices import OPEN, Invoice, pay
from makegood_credits.domain.purchasing import Purchase, PurchaseRefusal, not_paid, paid, purchase
from makegood_credits.handlers.due import set_due
from makegood_credits.handlers.facts import publish_charge, publish_entries, publish_refund
from makegood_credits.payments.port import ImpossibleEvent, Order, OrderRefused, PaymentEvent, PaymentProvider
from makegood_credits.store import books as book_store
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store import payments as payment_store
from makegood_credits.store import refunds as refund_store
from makegood_credits.store.payments import Checkout

PaymentEffect = Literal["granted", "paid", "failed", "none", "refund"]

_log = structlog.get_logger(__name__)


async def ask_for_credits(
    unit: UnitOfWork,
    member: str,
    purchase_id: str,
    quantity: int,
    length_minutes: int | None,
    provider: PaymentProvider,
) -> tuple[Purchase, str] | PurchaseRefusal:
    """CRED-6: keeps the wish to buy; answers it with the id of its checkout, which is yet to be opened."""
    book = await book_store.open_and_load(unit, member)
    asked = purchase(book, purchase_id, quantity, length_minutes, unit.now)
    if isinstance(asked, PurchaseRefusal):
        return asked
    return asked, await payment_store.insert_purchase(unit, asked, provider.name)


async def ask_to_pay(
    unit: UnitOfWork, member: str, invoice_id: str, provider: PaymentProvider
) -> tuple[Invoice, str | None] | None:
    """CRED-7: the charge and the id of its checkout; no checkout where nothing is to be paid; None: no such charge."""
    await book_store.lock(unit, [member])
    invoice = (await invoice_store.by_id(unit, [invoice_id])).get(invoice_id)
    if invoice is None or invoice.member_id != member:
        return None
    if invoice.status not in OPEN:
        return invoice, None
    checkout = await payment_store.checkout_of_invoice(unit, member, invoice.id, invoice.amount, provider.name)
    return invoice, checkout


async def address_of(database: Database, provider: PaymentProvider, checkout_id: str) -> str | None:
    """Where the payer pays; the checkout is opened at the provider if it is not yet. Raises
    PaymentsUnavailable, or OrderRefused; then the checkout failed.

    Outside any transaction: the provider may be slow, and nobody is to wait for it with locks in hand.
    """
    async with database.reading() as queries:
        asked = await payment_store.checkout(queries, checkout_id)
    if asked is None:
        return None
    if asked.url is None and asked.state == "open":
        try:
            opened = await provider.open(Order(asked.id, asked.amount, what_is_bought(asked)))
        except OrderRefused as error:
            _log.warning("payment refused for good", provider=provider.name, checkout_id=asked.id, code=error.code)
            async with database.reading() as queries:
                await payment_store.refuse(queries, checkout_id)
            raise
        async with database.reading() as queries:
            await payment_store.keep_address(queries, checkout_id, opened)
        return opened.url
    return asked.url


def what_is_bought(asked: Checkout) -> str:
    """As the payer reads it."""
    if asked.quantity is None:
        return "Session charge"
    return "1 session credit" if asked.quantity == 1 else f"{asked.quantity} session credits"


async def on_payment(unit: UnitOfWork, provider: str, event: PaymentEvent) -> None:
    """CRED-6: handles a web-hook once, in whatever order they come.

    That something is paid is true for good: it counts after a failure, and a failure after it changes nothing. One about a
    checkout that nobody asked for is kept and does nothing. Money for what is not owed (any more), or too much or little of
    it, does nothing and goes back; so does money for credits that the member's plan would not sell any more.
    """
    if not await payment_store.hear(unit, provider, event):
        return
    effect: str = "unknown"
    asked = await payment_store.checkout(unit, event.checkout_id) if is_id(event.checkout_id) else None
    if asked is not None:
        book = (await book_store.load(unit, [asked.member_id]))[asked.member_id]
        asked = await payment_store.checkout(unit, asked.id, lock=True) or asked
        effect = await _apply(unit, book, asked, event)
    await payment_store.keep_effect(unit, provider, event.id, effect)
    if effect in ("unknown", "refund"):
        _log.warning("payment without a use", provider=provider, event_id=event.id, effect=effect)


async def refuse_payment(unit: UnitOfWork, provider: str, impossible: ImpossibleEvent) -> None:
    """Keeps a signed web-hook that says what cannot be; it has no effect, however often it comes."""
    await payment_store.keep_fault(unit, provider, impossible.event_id, impossible.fault)
    _log.error("impossible payment event", provider=provider, event_id=impossible.event_id, fault=impossible.fault)


async def _apply(unit: UnitOfWork, book: Book, asked: Checkout, event: PaymentEvent) -> PaymentEffect:
    if event.outcome == "failed":
        if asked.state != "open":
            return "none"
        await payment_store.set_state(unit, asked.id, "failed")
        if asked.purchase_id is not None:
            bought = await _purchase(unit, asked.purchase_id)
            not_paid(bought)
            await payment_store.save_purchase(unit, bought, None)
        return "failed"
    if asked.state == "paid":
        return "none"
    if event.amount is not None and event.amount != asked.amount:
        await refund_store.owe_payment(unit, asked, event, "wrong_amount")
        return "refund"
    await payment_store.set_state(unit, asked.id, "paid")
    if asked.purchase_id is not None:
        effect = await _grant(unit, book, await _purchase(unit, asked.purchase_id))
    else:
        effect = await _pay(unit, book, str(asked.invoice_id))
    if effect == "refund":
        await refund_store.owe_payment(unit, asked, event, "not_accepted" if asked.purchase_id else "not_owed")
        publish_refund(unit, book, asked.amount, purchase_id=asked.purchase_id, invoice_id=asked.invoice_id)
        await book_store.save(unit, [book])
    return effect


async def _purchase(unit: UnitOfWork, purchase_id: str) -> Purchase:
    row = await payment_store.purchase_row(unit, purchase_id)
    assert row is not None, "a checkout names its purchase"
    return payment_store.purchase_of(row)


async def _grant(unit: UnitOfWork, book: Book, bought: Purchase) -> PaymentEffect:
    due_before = book.next_due
    entry = paid(book, bought, unit.now)
    if entry is None:
        return "none"
    if isinstance(entry, PurchaseRefusal):
        await payment_store.save_purchase(unit, bought, None)
        return "refund"
    publish_entries(unit, book, [entry], unit.cause)
    await book_store.save(unit, [book])
    await payment_store.save_purchase(unit, bought, entry.lot_id)
    set_due(unit, book.member_id, due_before, book.next_due)
    return "granted"


async def _pay(unit: UnitOfWork, book: Book, invoice_id: str) -> PaymentEffect:
    (invoice,) = (await invoice_store.by_id(unit, [invoice_id])).values()
    if not pay(book, invoice):
        return "refund"
    publish_charge(unit, book, invoice, unit.cause)
    await invoice_store.save(unit, [invoice])
    await book_store.save(unit, [book])
    return "paid"
