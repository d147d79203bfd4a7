"""Both payment providers as one suite drives them; Stripe's API by a small local server that speaks the few shapes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import stripe
from makegood_contracts.ids import new_id
from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.payments.port import PaymentOutcome, PaymentProvider
from makegood_credits.payments.stripe_checkout import StripePayments
from makegood_plans.plans import Money
from makegood_testkit.stripe_server import StripeServer

Hook = tuple[bytes, dict[str, str]]


class PaymentHarness(Protocol):
    """A provider, and what it would send."""

    @property
    def provider(self) -> PaymentProvider: ...

    def hook(
        self, checkout_id: str, outcome: PaymentOutcome, amount: Money, *, event_id: str | None = None, age: int = 0
    ) -> Hook:
        """A webhook as the provider sends it, signed so many seconds ago."""

    def forged(self, checkout_id: str, amount: Money) -> Hook:
        """The same signed with another secret."""


@dataclass
class Development:
    provider: DevelopmentPayments = field(
        default_factory=lambda: DevelopmentPayments("secret", "http://127.0.0.1:8080/dev/checkouts")
    )

    def hook(
        self, checkout_id: str, outcome: PaymentOutcome, amount: Money, *, event_id: str | None = None, age: int = 0
    ) -> Hook:
        body, headers = self.provider.hook(checkout_id, outcome, amount, event_id=event_id)
        moment = int(time.time()) - age
        return body, {**headers, "makegood-signature": f"t={moment},v1={self.provider.sign(moment, body)}"}

    def forged(self, checkout_id: str, amount: Money) -> Hook:
        return DevelopmentPayments("another", "x").hook(checkout_id, "paid", amount)


@dataclass
class Stripe:
    server: StripeServer
    provider: StripePayments

    def hook(
        self, checkout_id: str, outcome: PaymentOutcome, amount: Money, *, event_id: str | None = None, age: int = 0
    ) -> Hook:
        kind = "checkout.session.completed" if outcome == "paid" else "checkout.session.expired"
        return self.event(kind, checkout_id, amount, event_id=event_id, age=age)

    def event(
        self,
        kind: str,
        checkout_id: str | None,
        amount: Money,
        *,
        event_id: str | None = None,
        age: int = 0,
        secret: str = "whsec_1",
        payment_status: str = "paid",
    ) -> Hook:
        session = {
            "id": "cs_test_1",
            "object": "checkout.session",
            "client_reference_id": checkout_id,
            "payment_status": payment_status if kind.endswith("completed") else "unpaid",
            "amount_total": amount.amount_minor,  # as Stripe counts: tests that care give what it would say
            "currency": amount.currency.lower(),
        }
        event = {"id": event_id or f"evt_{new_id()}", "object": "event", "type": kind, "data": {"object": session}}
        body = json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(body, secret, int(time.time()) - age)
        return body.encode(), {"stripe-signature": header, "content-type": "application/json"}

    def forged(self, checkout_id: str, amount: Money) -> Hook:
        return self.event("checkout.session.completed", checkout_id, amount, secret="whsec_2")


@asynccontextmanager
async def stripe_harness() -> AsyncIterator[Stripe]:
    """Stripe's own client against the local server."""
    server = StripeServer()
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    provider = StripePayments("sk_test_1", "whsec_1", "https://app.example", server.url)
    try:
        yield Stripe(server, provider)
    finally:
        await provider.close()
        listener.close()
        await listener.wait_closed()
