"""The interface of a payment provider."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from makegood_contracts.currencies import currency_codes
from makegood_plans.plans import Money

PaymentOutcome = Literal["paid", "failed"]
OrderRefusal = Literal[
    "amount-too-small", "amount-too-large", "amount-not-divisible", "currency-not-supported", "payment-refused"
]
"""Why a provider will never take an order."""


class PaymentsUnavailable(Exception):
    """The provider cannot be reached, or accepts no orders now."""


class OrderRefused(Exception):
    """The provider will never accept this order as it is. `code` is one of ours, `detail` a sentence for the payer."""

    def __init__(self, code: OrderRefusal, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class RefundRefused(Exception):
    """The provider will not refund this payment. A person must look at it."""


class NotSigned(Exception):
    """The webhook was not sent by the provider, or was sent too long ago."""


class ImpossibleEvent(Exception):
    """A webhook is signed by the provider but says something impossible, such as an amount of zero. `event_id` is the
    provider's, or derived from the body's digest if there is none. `fault` says what is wrong.
    """

    def __init__(self, event_id: str, fault: str) -> None:
        super().__init__(fault)
        self.event_id = event_id
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid. `checkout_id` is ours. If it is sent twice, the provider opens one checkout."""

    checkout_id: str
    amount: Money
    what: str
    """For the payer, such as `2 session credits`; no personal data."""


@dataclass(frozen=True, slots=True)
class OpenedCheckout:
    """Where the payer pays. `until` is real time. None: the address does not expire."""

    reference: str
    url: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """A verified webhook: what happened to one checkout. Each has its own id, and may be sent again."""

    id: str
    checkout_id: str
    outcome: PaymentOutcome
    amount: Money | None = None
    """What was paid, if the provider says it."""


MOST_MINOR: Final = 10**11
"""More than anybody is ever charged, in any currency's minor unit."""
_ID = re.compile(r"[\x21-\x7e]{1,255}")


def payment_event(
    body: bytes, event_id: object, checkout_id: object, outcome: PaymentOutcome, amount: object, currency: object
) -> PaymentEvent:
    """The event in a webhook with a valid signature. `amount` is None if the provider does not give it. Raises
    ImpossibleEvent.

    A signature says who wrote the event, not that it makes sense. Events that do not are refused here, before they
    reach the database.
    """
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        raise ImpossibleEvent(f"sha256:{hashlib.sha256(body).hexdigest()}", "the event has no usable id")
    if not isinstance(checkout_id, str) or not _ID.fullmatch(checkout_id):
        raise ImpossibleEvent(event_id, "the checkout has no usable id")
    if amount is None:
        return PaymentEvent(event_id, checkout_id, outcome)
    if not isinstance(amount, int) or not 0 < amount <= MOST_MINOR:
        raise ImpossibleEvent(event_id, f"the amount is not from 1 to {MOST_MINOR}")
    if not isinstance(currency, str) or currency.upper() not in currency_codes():
        raise ImpossibleEvent(event_id, "the currency is not in ISO 4217")
    return PaymentEvent(event_id, checkout_id, outcome, Money(amount, currency.upper()))


class PaymentProvider(Protocol):
    """A payment provider."""

    name: str

    async def open(self, order: Order) -> OpenedCheckout:
        """Opens a checkout. Raises PaymentsUnavailable (temporary) or OrderRefused (permanent)."""

    async def refund(self, refund_id: str, reference: str, amount: Money) -> None:
        """Refunds what was paid in the checkout with that reference. `refund_id` is ours. If it is sent twice, the
        provider refunds once. Raises PaymentsUnavailable (temporary) or RefundRefused (permanent).
        """

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent | None:
        """The event in a webhook. None if it is about something else. Raises NotSigned or ImpossibleEvent.

        The signature is checked over the received bytes, and is valid for five minutes of real time.
        """
