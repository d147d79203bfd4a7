"""What credits asks of a payment provider, and hears from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from makegood_credits.domain.plans import Money

PaymentOutcome = Literal["paid", "failed"]


class PaymentsUnavailable(Exception):
    """The provider cannot be reached, or does not take orders now."""


class RefundRefused(Exception):
    """The provider does not give this payment back; a person has to look at it."""


class NotSigned(Exception):
    """A web-hook that the provider did not send, or sent too long ago."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid. `checkout_id` is ours; asked for twice, the provider opens one checkout."""

    checkout_id: str
    amount: Money
    what: str
    """For the payer, such as `2 session credits`; no personal data."""


@dataclass(frozen=True, slots=True)
class Checkout:
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


class PaymentProvider(Protocol):
    """A payment provider."""

    name: str

    async def open(self, order: Order) -> Checkout:
        """Opens a checkout. Raises PaymentsUnavailable."""

    async def refund(self, refund_id: str, reference: str, amount: Money) -> None:
        """Gives back what was paid in the checkout of that reference. `refund_id` is ours; asked for twice, the provider gives
        it back once. Raises PaymentsUnavailable, or RefundRefused where it never will."""

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent | None:
        """The event in a web-hook; None for one that is about something else. Raises NotSigned.

        The signature is checked over the bytes as they came, and is good for five minutes of real time.
        """
