"""Refunds money through the payment provider, until it is done or a person must take over (MISS-3, CRED-7)."""

from __future__ import annotations

from typing import Final, Literal

import structlog
from makegood_chassis.database import Database
from makegood_chassis.repeating import repeat
from makegood_chassis.service import Service

from makegood_credits.dependencies import Dependencies
from makegood_credits.payments.metrics import counted
from makegood_credits.payments.port import PaymentProvider, PaymentsUnavailable, RefundRefused
from makegood_credits.store import refunds

EVERY: Final = 5.0
"""Seconds of real time between two checks."""
AT_ONCE: Final = 20
"""The number of refunds that one check requests."""

_log = structlog.get_logger(__name__)


async def give_back(database: Database, provider: PaymentProvider) -> int:
    """Requests the refunds that are due now. Returns how many there were.

    No transaction is open meanwhile. Two processes may request the same refund, because its id is the provider's
    idempotency key.
    """
    async with database.reading() as queries:
        found = await refunds.due(queries, provider.name, AT_ONCE)
    for each in found:
        try:
            if each.reference is None:
                raise RefundRefused("the checkout has no reference")
            with counted():
                await provider.refund(each.id, each.reference, each.amount)
        except PaymentsUnavailable as error:
            _log.warning("refund has to wait", refund_id=each.id, tries=each.tries + 1, reason=str(error))
            async with database.reading() as queries:
                await refunds.try_again(queries, each.id)
            continue
        except RefundRefused as error:
            _log.error("refund refused", refund_id=each.id, reason=str(error))
            state: Literal["done", "by_hand"] = "by_hand"
        else:
            state = "done"
        async with database.reading() as queries:
            await refunds.close(queries, each.id, state)
    return len(found)


async def keep_giving_back(service: Service[Dependencies]) -> None:
    """The worker that requests due refunds, until cancelled. Without a payment provider it has nothing to do."""
    payments = service.dependencies.payments
    if payments is None:
        return

    async def job() -> bool:
        return await give_back(service.database, payments) == AT_ONCE

    await repeat(job, EVERY, name="refund")
