"""Money that goes back: for what is not charged after all, or came without being owed (MISS-3, CRED-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from makegood_chassis.database import Queries, UnitOfWork
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money

from makegood_credits.payments.port import PaymentEvent
from makegood_credits.store.payments import Checkout

RefundReason = Literal["not_charged", "not_owed", "not_accepted", "wrong_amount"]

# Each payment goes back once, whatever the reasons are.
_OWE = """
INSERT INTO refunds (id, checkout_id, invoice_id, member_id, reason, state, amount_minor, currency, owed_at)
SELECT gen_random_uuid(), c.id, c.invoice_id, c.member_id, 'not_charged', 'due', c.amount_minor, c.currency, $2
FROM checkouts c WHERE c.invoice_id = ANY($1::uuid[]) AND c.state = 'paid'
ON CONFLICT (checkout_id) WHERE reason <> 'wrong_amount' DO NOTHING
"""
_OWE_PAYMENT = """
INSERT INTO refunds (id, checkout_id, invoice_id, member_id, reason, state, amount_minor, currency, owed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (checkout_id) WHERE reason <> 'wrong_amount' DO NOTHING
"""
_DUE = """
SELECT r.id::text, c.reference, r.amount_minor, r.currency, r.tries FROM refunds r JOIN checkouts c ON c.id = r.checkout_id
WHERE r.state = 'due' AND r.try_at <= clock_timestamp() AND c.provider = $1 ORDER BY r.try_at LIMIT $2
"""
_AGAIN = """
UPDATE refunds SET tries = tries + 1, try_at = clock_timestamp() + least(3600, 5 * 2 ^ least(tries, 12)) * interval '1 second'
WHERE id = $1 AND state = 'due'
"""


@dataclass(frozen=True, slots=True)
class DueRefund:
    """Money to be given back. `reference`: the payment provider's name of the checkout that it was paid in."""

    id: str
    reference: str | None
    amount: Money
    tries: int


async def owe(unit: UnitOfWork, invoices: Sequence[str]) -> None:
    """What was paid of these charges goes back: they are not charged after all."""
    if invoices:
        await unit.execute(_OWE, list(invoices), unit.now)


async def owe_payment(unit: UnitOfWork, asked: Checkout, event: PaymentEvent, reason: RefundReason) -> None:
    """This payment goes back. One in a wrong amount is for a person to look at."""
    amount = event.amount or asked.amount
    await unit.execute(
        _OWE_PAYMENT,
        new_id(),
        asked.id,
        asked.invoice_id,
        asked.member_id,
        reason,
        "by_hand" if reason == "wrong_amount" else "due",
        amount.amount_minor,
        amount.currency,
        unit.now,
    )


async def due(queries: Queries, provider: str, most: int) -> list[DueRefund]:
    """What this provider is to give back now."""
    rows = await queries.fetch(_DUE, provider, most)
    return [DueRefund(row[0], row[1], Money(row[2], row[3]), row[4]) for row in rows]


async def close(queries: Queries, refund_id: str, state: Literal["done", "by_hand"]) -> None:
    """`done`: the provider gave it back. `by_hand`: it does not, so a person has to."""
    await queries.execute("UPDATE refunds SET state = $2 WHERE id = $1 AND state = 'due'", refund_id, state)


async def try_again(queries: Queries, refund_id: str) -> None:
    """The provider cannot be reached: later, and later each time, up to an hour."""
    await queries.execute(_AGAIN, refund_id)
