"""Purchases, checkouts at the payment provider, and its web-hooks, each handled once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money

from makegood_credits.domain.purchasing import Purchase
from makegood_credits.payments.port import OpenedCheckout, PaymentEvent

_PURCHASE = """
SELECT p.id::text, p.member_id, p.plan_id, p.quantity, p.length_minutes, p.amount_minor, p.currency, p.status, p.number,
    p.asked_at, c.id::text AS checkout_id, c.url, refund.state AS refund, refund.amount_minor AS refund_minor,
    refund.currency AS refund_currency
FROM purchases AS p JOIN checkouts AS c ON c.purchase_id = p.id LEFT JOIN LATERAL (
    SELECT state, amount_minor, currency FROM refunds WHERE checkout_id = c.id ORDER BY owed_at DESC, id DESC LIMIT 1
) AS refund ON true
"""
_CHECKOUT = """
SELECT c.id::text, c.member_id, c.state, c.amount_minor, c.currency, c.purchase_id::text, c.invoice_id::text, c.url,
    c.url_until IS NOT NULL AND c.url_until < clock_timestamp() + interval '1 minute' AS url_over, p.quantity
FROM checkouts AS c LEFT JOIN purchases AS p ON p.id = c.purchase_id
"""
_HEARD = """
INSERT INTO payment_events (provider, event_id, checkout_id, outcome, effect) VALUES ($1, $2, $3, $4, 'none')
ON CONFLICT DO NOTHING RETURNING true
"""

_REFUSE = """
WITH refused AS (UPDATE checkouts SET state = 'failed' WHERE id = $1 AND state = 'open' RETURNING purchase_id)
UPDATE purchases SET status = 'failed' FROM refused WHERE purchases.id = refused.purchase_id AND status = 'pending'
"""

_ALL: Final = 2**63 - 1
"""Above every number."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A payment asked of the provider. `url_over`: its address stands no longer."""

    id: str
    member_id: str
    state: str
    amount: Money
    purchase_id: str | None
    invoice_id: str | None
    url: str | None
    url_over: bool
    quantity: int | None


def _checkout(row: Row) -> Checkout:
    return Checkout(row[0], row[1], row[2], Money(row[3], row[4]), *tuple(row)[5:])


def purchase_of(row: Row) -> Purchase:
    """The purchase in a row of `purchases`."""
    return Purchase(row[0], row[1], row[2], row[3], row[4], Money(row[5], row[6]), row[7])


async def insert_purchase(unit: UnitOfWork, purchase: Purchase, provider: str) -> str:
    """A new purchase and its checkout, whose id it answers."""
    await unit.execute(
        "INSERT INTO purchases (id, member_id, plan_id, quantity, length_minutes, status, amount_minor, currency, asked_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        purchase.id,
        purchase.member_id,
        purchase.plan_id,
        purchase.quantity,
        purchase.length_minutes,
        purchase.status,
        purchase.amount.amount_minor,
        purchase.amount.currency,
        unit.now,
    )
    return await _insert_checkout(unit, purchase.member_id, purchase.amount, provider, purchase_id=purchase.id)


async def _insert_checkout(
    unit: UnitOfWork,
    member: str,
    amount: Money,
    provider: str,
    *,
    purchase_id: str | None = None,
    invoice_id: str | None = None,
) -> str:
    checkout = new_id()
    await unit.execute(
        "INSERT INTO checkouts (id, member_id, purchase_id, invoice_id, provider, amount_minor, currency, state) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, 'open')",
        checkout,
        member,
        purchase_id,
        invoice_id,
        provider,
        amount.amount_minor,
        amount.currency,
    )
    return checkout


async def checkout_of_invoice(unit: UnitOfWork, member: str, invoice_id: str, amount: Money, provider: str) -> str:
    """The open checkout of a charge; a new one where there is none, or its address stands no longer. The account is locked."""
    row = await unit.fetch_one(_CHECKOUT + "WHERE c.invoice_id = $1 AND c.state = 'open'", invoice_id)
    if row is not None:
        if not row["url_over"]:
            return str(row[0])
        await set_state(unit, row[0], "failed")
    return await _insert_checkout(unit, member, amount, provider, invoice_id=invoice_id)


async def withdraw_purchase(unit: UnitOfWork, purchase_id: str) -> None:
    """Takes back a purchase that the payment provider never heard of."""
    await unit.execute("DELETE FROM checkouts WHERE purchase_id = $1 AND url IS NULL", purchase_id)
    await unit.execute(
        "DELETE FROM purchases WHERE id = $1 AND NOT EXISTS (SELECT FROM checkouts WHERE purchase_id = $1)", purchase_id
    )


async def refuse(queries: Queries, checkout_id: str) -> None:
    """The payment provider will never take this checkout: it and its purchase failed. Asked again, there is a new one."""
    await queries.execute(_REFUSE, checkout_id)


async def purchase(queries: Queries, purchase_id: str) -> Purchase:
    """The purchase that a checkout names."""
    row = await purchase_row(queries, purchase_id)
    assert row is not None, "a checkout names its purchase"
    return purchase_of(row)


async def purchase_row(queries: Queries, purchase_id: str) -> Row | None:
    return await queries.fetch_one(_PURCHASE + "WHERE p.id = $1", purchase_id)


async def purchase_rows(queries: Queries, member: str | None, before: int | None, limit: int) -> list[Row]:
    """Newest first; of everybody where no member is named."""
    before = _ALL if before is None else before
    if member is None:
        return await queries.fetch(f"{_PURCHASE}WHERE p.number < $1 ORDER BY p.number DESC LIMIT $2", before, limit)
    where = "WHERE p.member_id = $1 AND p.number < $2"
    return await queries.fetch(f"{_PURCHASE}{where} ORDER BY p.number DESC LIMIT $3", member, before, limit)


async def checkout(queries: Queries, checkout_id: str, *, lock: bool = False) -> Checkout | None:
    """The checkout; locked if asked for, and then its member's account must be locked before."""
    row = await queries.fetch_one(_CHECKOUT + "WHERE c.id = $1" + (" FOR UPDATE OF c" if lock else ""), checkout_id)
    return None if row is None else _checkout(row)


async def keep_address(queries: Queries, checkout_id: str, opened: OpenedCheckout) -> None:
    """Where the payer pays, as the provider said."""
    await queries.execute(
        "UPDATE checkouts SET reference = $2, url = $3, url_until = $4 WHERE id = $1",
        checkout_id,
        opened.reference,
        opened.url,
        opened.until,
    )


async def set_state(unit: UnitOfWork, checkout_id: str, state: str) -> None:
    await unit.execute("UPDATE checkouts SET state = $2 WHERE id = $1", checkout_id, state)


async def save_purchase(unit: UnitOfWork, purchase: Purchase) -> None:
    await unit.execute(
        "UPDATE purchases SET status = $2, lot_id = coalesce($3, lot_id) WHERE id = $1",
        purchase.id,
        purchase.status,
        purchase.lot_id,
    )


async def hear(unit: UnitOfWork, provider: str, event: PaymentEvent) -> bool:
    """Keeps the web-hook; False where it was heard before (CRED-6: each is handled once)."""
    return bool(await unit.fetch_value(_HEARD, provider, event.id, event.checkout_id, event.outcome))


async def keep_effect(unit: UnitOfWork, provider: str, event_id: str, effect: str) -> None:
    """What came of a web-hook: `granted`, `paid`, `failed`, `none`, `unknown`, or `refund` where money has to go back."""
    await unit.execute(
        "UPDATE payment_events SET effect = $3 WHERE provider = $1 AND event_id = $2", provider, event_id, effect
    )


async def keep_fault(unit: UnitOfWork, provider: str, event_id: str, fault: str) -> None:
    """Keeps a web-hook that was refused for what it says, once."""
    await unit.execute(
        "INSERT INTO payment_events (provider, event_id, outcome, effect, fault) VALUES ($1, $2, 'unknown', 'refused', $3) "
        "ON CONFLICT DO NOTHING",
        provider,
        event_id,
        fault,
    )
