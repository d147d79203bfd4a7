"""What credits asks of a payment provider, and hears from it."""

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
    """The provider cannot be reached, or does not take orders now."""


class OrderRefused(Exception):
    """The provider will never take this order as it is. `code` is one of ours, `detail` a sentence for the payer."""

    def __init__(self, code: OrderRefusal, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class RefundRefused(Exception):
    """The provider does not give this payment back; a person has to look at it."""


class NotSigned(Exception):
    """A web-hook that the provider did not send, or sent too long ago."""


class ImpossibleEvent(Exception):
    """A web-hook that the provider signed and that says what cannot be, such as an amount of no money.

    `event_id` is the provider's, or made of the body's digest where that is none; `fault` says what is wrong.
    """

    def __init__(self, event_id: str, fault: str) -> None:
        super().__init__(fault)
        self.event_id = event_id
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid. `checkout_id` is ours; asked for twice, the provider opens one checkout."""

    checkout_id: str
    amount: Money
    what: str
    """For the payer, such as `2 session credits`; no personal data."""


@dataclass(frozen=True, slots=True)
class OpenedCheckout:
    """Where the payer pays. `until` is real time; None: the address stands."""

    reference: str
    url: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """A web-hook that was checked: what became of one checkout. Each has an id of its own, and may come again."""

    id: str
    checkout_id: str
    outcome: PaymentOutcome
    amount: Money | None = None
    """What was paid, where the provider says it."""


MOST_MINOR: Final = 10**11
"""More than anybody is charged, in any currency's minor unit."""
_ID = re.compile(r"[\x21-\x7e]{1,255}")


def payment_event(
    body: bytes, event_id: object, checkout_id: object, outcome: PaymentOutcome, amount: object, currency: object
) -> PaymentEvent:
    """The event in a web-hook whose signature fits. `amount` None: the provider does not say. Raises ImpossibleEvent.

    A signature tells who wrote it, not that it makes sense: whatever does not is refused here, before it meets the database.
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
        raise ImpossibleEvent(event_id, "the currency is none of ISO 4217")
    return PaymentEvent(event_id, checkout_id, outcome, Money(amount, currency.upper()))


class PaymentProvider(Protocol):
    """A payment provider."""

    name: str

    async def open(self, order: Order) -> OpenedCheckout:
        """Opens a checkout. Raises PaymentsUnavailable, which passes, or OrderRefused, which does not."""

    async def refund(self, refund_id: str, reference: str, amount: Money) -> None:
        """Gives back what was paid in the checkout of that reference. `refund_id` is ours; asked for twice, the provider gives
        it back once. Raises PaymentsUnavailable, or RefundRefused where it never will."""

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent | None:
        """The event in a web-hook; None for one that is about something else. Raises NotSigned, ImpossibleEvent.

        The signature is checked over the bytes as they came, and is good for five minutes of real time.
        """
