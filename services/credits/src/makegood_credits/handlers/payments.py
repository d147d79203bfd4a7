"""Checkouts at the payment provider, and what its webhooks do (CRED-6, CRED-7)."""

from __future__ import annotations

from copy import copy
from typing import Literal

import structlog
from makegood_chassis.database import Database, UnitOfWork
from makegood_contracts.ids import is_id

from makegood_credits.domain.book import Book
from makegood_credits.domain.invoices import pay
from makegood_credits.domain.purchasing import Purchase, PurchaseRefusal, not_paid, paid
from makegood_credits.handlers.ledger import ledger
from makegood_credits.handlers.publishing import publish_refund
from makegood_credits.payments.metrics import counted
from makegood_credits.payments.port import ImpossibleEvent, Order, OrderRefused, PaymentEvent, PaymentProvider
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store import payments as payment_store
from makegood_credits.store import refunds as refund_store
from makegood_credits.store.payments import Checkout

PaymentEffect = Literal["granted", "paid", "failed", "none", "refund"]

_log = structlog.get_logger(__name__)


async def open_checkout(database: Database, provider: PaymentProvider, checkout_id: str) -> str | None:
    """The address where the payer pays. Opens the checkout at the provider if it is not open yet.

    Raises PaymentsUnavailable, or OrderRefused after which the checkout failed. Runs outside any transaction, because
    the provider may be slow, and nothing should hold locks while it waits.
    """
    async with database.reading() as queries:
        checkout = await payment_store.checkout(queries, checkout_id)
    if checkout is None:
        return None
    if checkout.url is not None or checkout.state != "open":
        return checkout.url
    try:
        with counted():
            opened = await provider.open(Order(checkout.id, checkout.amount, what_is_bought(checkout)))
    except OrderRefused as error:
        _log.warning("payment refused permanently", provider=provider.name, checkout_id=checkout.id, code=error.code)
        async with database.reading() as queries:
            await payment_store.refuse(queries, checkout_id)
        raise
    async with database.reading() as queries:
        await payment_store.keep_address(queries, checkout_id, opened)
    return opened.url


def what_is_bought(checkout: Checkout) -> str:
    """The order's description as the payer reads it."""
    if checkout.quantity is None:
        return "Session charge"
    return "1 session credit" if checkout.quantity == 1 else f"{checkout.quantity} session credits"


async def on_payment(unit: UnitOfWork, provider: str, event: PaymentEvent) -> None:
    """Handles a webhook once, whatever their order (CRED-6).

    Success is final: it counts after a failure, and a later failure changes nothing. An event about an unknown checkout
    is stored and has no effect. Money that is not owed (any more), or in a wrong amount, has no effect and is refunded.
    So is money for credits that the member's plan no longer sells.
    """
    if not await payment_store.hear(unit, provider, event):
        return
    effect: str = "unknown"
    checkout = await payment_store.checkout(unit, event.checkout_id) if is_id(event.checkout_id) else None
    if checkout is not None:
        async with ledger(unit, [checkout.member_id]) as books:
            checkout = await payment_store.checkout(unit, checkout.id, lock=True) or checkout
            bought = await payment_store.purchase(unit, checkout.purchase_id) if checkout.purchase_id else None
            before = copy(bought)
            effect = await _apply(unit, books[checkout.member_id], checkout, bought, event)
        if bought is not None and bought != before:  # after the ledger, which has written the lot that it names
            await payment_store.save_purchase(unit, bought)
    await payment_store.keep_effect(unit, provider, event.id, effect)
    if effect in ("unknown", "refund"):
        _log.warning("payment has no use", provider=provider, event_id=event.id, effect=effect)


async def refuse_payment(unit: UnitOfWork, provider: str, impossible: ImpossibleEvent) -> None:
    """Stores a signed webhook that says something impossible. It has no effect, however often it comes."""
    await payment_store.keep_fault(unit, provider, impossible.event_id, impossible.fault)
    _log.error("impossible payment event", provider=provider, event_id=impossible.event_id, fault=impossible.fault)


async def _apply(
    unit: UnitOfWork, book: Book, checkout: Checkout, bought: Purchase | None, event: PaymentEvent
) -> PaymentEffect:
    if event.outcome == "failed":
        if checkout.state != "open":
            return "none"
        await payment_store.set_state(unit, checkout.id, "failed")
        if bought is not None:
            not_paid(bought)
        return "failed"
    if checkout.state == "paid":
        return "none"
    if event.amount is not None and event.amount != checkout.amount:
        await refund_store.owe_payment(unit, checkout, event, "wrong_amount")
        return "refund"
    await payment_store.set_state(unit, checkout.id, "paid")
    if bought is not None:
        entry = paid(book, bought, unit.now)
        if not isinstance(entry, PurchaseRefusal):
            return "none" if entry is None else "granted"
    else:
        (invoice,) = (await invoice_store.by_id(unit, [str(checkout.invoice_id)])).values()
        if pay(book, invoice):
            return "paid"
    await refund_store.owe_payment(unit, checkout, event, "not_owed" if bought is None else "not_accepted")
    publish_refund(unit, book, checkout.amount, purchase_id=checkout.purchase_id, invoice_id=checkout.invoice_id)
    return "refund"
