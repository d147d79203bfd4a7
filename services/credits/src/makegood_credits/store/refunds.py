"""Refunds of voided charges, and of money that was not owed (MISS-3, CRED-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money

from makegood_credits.payments.port import PaymentEvent
from makegood_credits.store.payments import Checkout

RefundReason = Literal["not_charged", "not_owed", "not_accepted", "wrong_amount"]

# Each payment goes back once, whatever the reasons are.
_OWE = Statement("""
INSERT INTO refunds (id, checkout_id, invoice_id, member_id, reason, state, amount_minor, currency, owed_at)
SELECT gen_random_uuid(), id, invoice_id, member_id, 'not_charged', 'due', amount_minor, currency, :now
FROM checkouts WHERE invoice_id = ANY(CAST(:invoice_id AS uuid[])) AND state = 'paid'
ON CONFLICT (checkout_id) WHERE reason <> 'wrong_amount' DO NOTHING
""")
_OWE_PAYMENT = Statement("""
INSERT INTO refunds (id, checkout_id, invoice_id, member_id, reason, state, amount_minor, currency, owed_at)
VALUES (:id, :checkout_id, :invoice_id, :member_id, :reason, :state, :amount_minor, :currency, :owed_at)
ON CONFLICT (checkout_id) WHERE reason <> 'wrong_amount' DO NOTHING
""")
_DUE = Statement("""
SELECT refunds.id::text, reference, refunds.amount_minor, refunds.currency, tries
FROM refunds JOIN checkouts ON checkouts.id = checkout_id
WHERE refunds.state = 'due' AND try_at <= statement_timestamp() AND provider = :provider ORDER BY try_at LIMIT :most
""")
_CLOSE = Statement("UPDATE refunds SET state = :state WHERE id = :refund AND state = 'due'")
_TRY_AGAIN = Statement(
    "UPDATE refunds SET tries = tries + 1, "
    "try_at = clock_timestamp() + least(3600, 5 * 2 ^ least(tries, 12)) * interval '1 second' "
    "WHERE id = :refund AND state = 'due'"
)


@dataclass(frozen=True, slots=True)
class DueRefund:
    """A refund. `reference`: the payment provider's name for the checkout in which it was paid."""

    id: str
    reference: str | None
    amount: Money
    tries: int


async def owe(unit: UnitOfWork, charges: Sequence[str]) -> None:
    """Refunds what was paid of these charges, because they are void."""
    if charges:
        await unit.execute(_OWE(invoice_id=list(charges), now=unit.now))


async def owe_payment(unit: UnitOfWork, checkout: Checkout, event: PaymentEvent, reason: RefundReason) -> None:
    """Refunds this payment. If the amount is wrong, a person must look at it."""
    amount = event.amount or checkout.amount
    await unit.execute(
        _OWE_PAYMENT(
            id=new_id(),
            checkout_id=checkout.id,
            invoice_id=checkout.invoice_id,
            member_id=checkout.member_id,
            reason=reason,
            state="by_hand" if reason == "wrong_amount" else "due",
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            owed_at=unit.now,
        )
    )


async def due(queries: Queries, provider: str, most: int) -> list[DueRefund]:
    """The refunds that this provider should make now."""
    rows = await queries.fetch(_DUE(provider=provider, most=most))
    return [DueRefund(row[0], row[1], Money(row[2], row[3]), row[4]) for row in rows]


async def close(queries: Queries, refund_id: str, state: Literal["done", "by_hand"]) -> None:
    """`done`: the provider has refunded it. `by_hand`: the provider refuses, so a person must."""
    await queries.execute(_CLOSE(refund=refund_id, state=state))


async def try_again(queries: Queries, refund_id: str) -> None:
    """Postpones a refund because the provider cannot be reached, longer each time, up to an hour."""
    await queries.execute(_TRY_AGAIN(refund=refund_id))
