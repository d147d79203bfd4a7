"""Purchases, checkouts at the payment provider, and its webhooks. Each webhook is handled once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money
from sqlalchemy import (
    ColumnElement,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.selectable import LateralFromClause

from makegood_credits.domain.purchasing import Purchase
from makegood_credits.payments.port import OpenedCheckout, PaymentEvent
from makegood_credits.store.tables import checkouts, constant, payment_events, purchases, refunds, texts

_P: Final = purchases.c
_C: Final = checkouts.c
_K: Final = payment_events.c
_MONEY: Final = ("amount_minor", "currency")
_NEWEST: Final = 2**63 - 1
"""Above every number."""


def latest_refund(of: ColumnElement[bool]) -> LateralFromClause:
    """A join with the latest refund of `of`: its state as `refund`, its amount and its currency."""
    columns = refunds.c.state.label("refund"), *(refunds.c[each].label(f"refund_{each}") for each in _MONEY)
    found = select(*columns).where(of).order_by(refunds.c.owed_at.desc(), refunds.c.id.desc()).limit(1)
    return found.lateral("latest_refund")


_REFUND: Final = latest_refund(refunds.c.checkout_id == _C.id)
_PURCHASE: Final = [each for each in _P if each.key not in ("number", "asked_at")]
_ROWS: Final = select(
    *texts(_PURCHASE), _P.number, _P.asked_at, cast(_C.id, Text).label("checkout_id"), _C.url, *_REFUND.c
).select_from(purchases.join(checkouts, _C.purchase_id == _P.id).outerjoin(_REFUND, true()))
_ONE_PURCHASE = Statement(_ROWS.where(_P.id == bindparam("purchase")))
_PAGE: Final = (
    _ROWS.where(_P.number < bindparam("before", type_=_P.number.type))
    .order_by(_P.number.desc())
    .limit(bindparam("limit"))
)
_PURCHASES = Statement(_PAGE)
_PURCHASES_OF_MEMBER = Statement(_PAGE.where(_P.member_id == bindparam("member")))
_INSERT_PURCHASE = Statement(
    insert(purchases).values({each.key: bindparam(each.key) for each in _P if each.key not in ("number", "lot_id")})
)
_SAVE_PURCHASE = Statement("UPDATE purchases SET status = :status, lot_id = coalesce(:lot_id, lot_id) WHERE id = :id")
_WITHDRAW_CHECKOUT = Statement("DELETE FROM checkouts WHERE purchase_id = :purchase AND url IS NULL")
_WITHDRAW_PURCHASE = Statement(
    "DELETE FROM purchases WHERE id = :purchase AND NOT EXISTS (SELECT FROM checkouts WHERE purchase_id = purchases.id)"
)

_URL_OVER: Final = _C.url_until.is_not(None) & (
    _C.url_until < func.clock_timestamp() + literal_column("interval '1 minute'")
)
_CHECKOUT: Final = [each for each in _C if each.key not in ("url_until", "provider", "reference")]
_CHECKOUTS: Final = select(*texts(_CHECKOUT), _URL_OVER.label("url_over"), _P.quantity).select_from(
    checkouts.outerjoin(purchases, _P.id == _C.purchase_id)
)
_ONE_CHECKOUT = Statement(_CHECKOUTS.where(_C.id == bindparam("checkout")))
_LOCK_CHECKOUT = Statement(_CHECKOUTS.where(_C.id == bindparam("checkout")).with_for_update(of=checkouts))
_OPEN_CHECKOUT = Statement(_CHECKOUTS.where(_C.invoice_id == bindparam("invoice"), _C.state == constant("open")))
_INSERT_CHECKOUT = Statement(
    insert(checkouts).values(
        {each.key: bindparam(each.key) for each in _C if each.key not in ("url", "url_until", "reference")}
    )
)
_KEEP_ADDRESS = Statement(
    "UPDATE checkouts SET reference = :reference, url = :url, url_until = :until WHERE id = :checkout"
)
_SET_STATE = Statement("UPDATE checkouts SET state = :state WHERE id = :checkout")
_REFUSE = Statement("""
WITH refused AS (UPDATE checkouts SET state = 'failed' WHERE id = :checkout AND state = 'open' RETURNING purchase_id)
UPDATE purchases SET status = 'failed' FROM refused WHERE id = refused.purchase_id AND status = 'pending'
""")

_NEW_EVENT: Final = insert(payment_events).values({each.key: bindparam(each.key) for each in _K})
_KEEP_EVENT = Statement(_NEW_EVENT.on_conflict_do_nothing().returning(true()))
_KEEP_EFFECT = Statement(
    "UPDATE payment_events SET effect = :effect WHERE provider = :provider AND event_id = :event_id"
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A payment requested from the provider. `url_over`: its address has expired."""

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
    id_, member, plan, quantity, length, amount, currency, status, lot_id = row[: len(_PURCHASE)]
    return Purchase(id_, member, plan, quantity, length, Money(amount, currency), status, lot_id)


async def insert_purchase(unit: UnitOfWork, purchase: Purchase, provider: str) -> str:
    """Inserts a purchase and its checkout. Returns the checkout's id."""
    await unit.execute(
        _INSERT_PURCHASE(
            id=purchase.id,
            member_id=purchase.member_id,
            plan_id=purchase.plan_id,
            quantity=purchase.quantity,
            length_minutes=purchase.length_minutes,
            status=purchase.status,
            amount_minor=purchase.amount.amount_minor,
            currency=purchase.amount.currency,
            asked_at=unit.now,
        )
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
        _INSERT_CHECKOUT(
            id=checkout,
            member_id=member,
            state="open",
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            purchase_id=purchase_id,
            invoice_id=invoice_id,
            provider=provider,
        )
    )
    return checkout


async def checkout_of_invoice(unit: UnitOfWork, member: str, invoice_id: str, amount: Money, provider: str) -> str:
    """The open checkout of a charge, or a new one if there is none or its address has expired. The account must be
    locked.
    """
    row = await unit.fetch_one(_OPEN_CHECKOUT(invoice=invoice_id))
    if row is not None:
        if not row["url_over"]:
            return str(row[0])
        await set_state(unit, row[0], "failed")
    return await _insert_checkout(unit, member, amount, provider, invoice_id=invoice_id)


async def withdraw_purchase(unit: UnitOfWork, purchase_id: str) -> None:
    """Deletes a purchase that the payment provider never heard of."""
    await unit.execute(_WITHDRAW_CHECKOUT(purchase=purchase_id))
    await unit.execute(_WITHDRAW_PURCHASE(purchase=purchase_id))


async def refuse(queries: Queries, checkout_id: str) -> None:
    """Marks a checkout and its purchase as failed, because the provider will never accept it. Another request opens a
    new one.
    """
    await queries.execute(_REFUSE(checkout=checkout_id))


async def purchase(queries: Queries, purchase_id: str) -> Purchase:
    """The purchase of a checkout."""
    row = await purchase_row(queries, purchase_id)
    assert row is not None, "a checkout names its purchase"
    return purchase_of(row)


async def purchase_row(queries: Queries, purchase_id: str) -> Row | None:
    return await queries.fetch_one(_ONE_PURCHASE(purchase=purchase_id))


async def purchase_rows(queries: Queries, member: str | None, before: int | None, limit: int) -> list[Row]:
    """Purchases, newest first: of one member, or of all."""
    before = _NEWEST if before is None else before
    if member is None:
        return await queries.fetch(_PURCHASES(before=before, limit=limit))
    return await queries.fetch(_PURCHASES_OF_MEMBER(member=member, before=before, limit=limit))


async def checkout(queries: Queries, checkout_id: str, *, lock: bool = False) -> Checkout | None:
    """The checkout, locked if requested. Its member's account must then already be locked."""
    row = await queries.fetch_one((_LOCK_CHECKOUT if lock else _ONE_CHECKOUT)(checkout=checkout_id))
    return None if row is None else _checkout(row)


async def keep_address(queries: Queries, checkout_id: str, opened: OpenedCheckout) -> None:
    """Saves the address that the provider gave for the payer."""
    await queries.execute(
        _KEEP_ADDRESS(checkout=checkout_id, reference=opened.reference, url=opened.url, until=opened.until)
    )


async def set_state(unit: UnitOfWork, checkout_id: str, state: str) -> None:
    await unit.execute(_SET_STATE(checkout=checkout_id, state=state))


async def save_purchase(unit: UnitOfWork, purchase: Purchase) -> None:
    await unit.execute(_SAVE_PURCHASE(id=purchase.id, status=purchase.status, lot_id=purchase.lot_id))


async def hear(unit: UnitOfWork, provider: str, event: PaymentEvent) -> bool:
    """Saves the webhook. False if it is a repeat, because each is handled once (CRED-6)."""
    kept = _KEEP_EVENT(
        provider=provider,
        event_id=event.id,
        checkout_id=event.checkout_id,
        outcome=event.outcome,
        effect="none",
        fault=None,
    )
    return bool(await unit.fetch_value(kept))


async def keep_effect(unit: UnitOfWork, provider: str, event_id: str, effect: str) -> None:
    """Saves the effect of a webhook: `granted`, `paid`, `failed`, `none`, `unknown`, or `refund` if money must be
    refunded.
    """
    await unit.execute(_KEEP_EFFECT(provider=provider, event_id=event_id, effect=effect))


async def keep_fault(unit: UnitOfWork, provider: str, event_id: str, fault: str) -> None:
    """Saves a webhook that was refused because of its content, once."""
    refused = _KEEP_EVENT(
        provider=provider, event_id=event_id, checkout_id=None, outcome="unknown", effect="refused", fault=fault
    )
    await unit.execute(refused)
