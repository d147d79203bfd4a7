"""Money that goes back: for what is not charged after all, or came without being owed (MISS-3, CRED-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement, any_of
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.payments.port import PaymentEvent
from makegood_credits.store.payments import Checkout
from makegood_credits.store.tables import checkouts, constant, refunds, texts

RefundReason = Literal["not_charged", "not_owed", "not_accepted", "wrong_amount"]

_R: Final = refunds.c
_C: Final = checkouts.c
_OWED: Final = [each for each in _R if each.key not in ("tries", "try_at")]
_ONCE: Final[dict[str, Any]] = {
    "index_elements": [_R.checkout_id],
    "index_where": _R.reason != constant("wrong_amount"),
}
"""Each payment goes back once, whatever the reasons are."""

_OWE = Statement(
    insert(refunds)
    .from_select(
        [each.key for each in _OWED],
        select(
            func.gen_random_uuid(),
            _C.id,
            _C.invoice_id,
            _C.member_id,
            constant("not_charged"),
            constant("due"),
            _C.amount_minor,
            _C.currency,
            bindparam("now", type_=_R.owed_at.type),
        ).where(any_of(_C.invoice_id), _C.state == constant("paid")),
    )
    .on_conflict_do_nothing(**_ONCE)
)
_OWE_PAYMENT = Statement(
    insert(refunds).values({each.key: bindparam(each.key) for each in _OWED}).on_conflict_do_nothing(**_ONCE)
)
_DUE = Statement(
    select(*texts([_R.id]), _C.reference, _R.amount_minor, _R.currency, _R.tries)
    .join(checkouts, _C.id == _R.checkout_id)
    .where(_R.state == constant("due"), _R.try_at <= func.clock_timestamp(), _C.provider == bindparam("provider"))
    .order_by(_R.try_at)
    .limit(bindparam("most"))
)
_CLOSE = Statement(
    update(refunds).values(state=bindparam("done")).where(_R.id == bindparam("refund"), _R.state == constant("due"))
)
_TRY_AGAIN = Statement(
    "UPDATE refunds SET tries = tries + 1, "
    "try_at = clock_timestamp() + least(3600, 5 * 2 ^ least(tries, 12)) * interval '1 second' "
    "WHERE id = :refund AND state = 'due'"
)


@dataclass(frozen=True, slots=True)
class DueRefund:
    """Money to be given back. `reference`: the payment provider's name of the checkout that it was paid in."""

    id: str
    reference: str | None
    amount: Money
    tries: int


async def owe(unit: UnitOfWork, charges: Sequence[str]) -> None:
    """What was paid of these charges goes back: they are not charged after all."""
    if charges:
        await unit.execute(_OWE(invoice_id=list(charges), now=unit.now))


async def owe_payment(unit: UnitOfWork, checkout: Checkout, event: PaymentEvent, reason: RefundReason) -> None:
    """This payment goes back. One in a wrong amount is for a person to look at."""
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
    """What this provider is to give back now."""
    rows = await queries.fetch(_DUE(provider=provider, most=most))
    return [DueRefund(row[0], row[1], Money(row[2], row[3]), row[4]) for row in rows]


async def close(queries: Queries, refund_id: str, state: Literal["done", "by_hand"]) -> None:
    """`done`: the provider gave it back. `by_hand`: it does not, so a person has to."""
    await queries.execute(_CLOSE(refund=refund_id, done=state))


async def try_again(queries: Queries, refund_id: str) -> None:
    """The provider cannot be reached: later, and later each time, up to an hour."""
    await queries.execute(_TRY_AGAIN(refund=refund_id))
