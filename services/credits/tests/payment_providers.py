"""Both payment providers as one suite drives them; Stripe's API by a small local server that speaks the few shapes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs

import stripe
from makegood_contracts.ids import new_id
from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.payments.port import PaymentOutcome, PaymentProvider
from makegood_credits.payments.stripe_checkout import StripePayments
from makegood_plans.plans import Money

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


class StripeServer:
    """Checkout sessions and refunds, as far as credits uses them. `broken`: the status it answers instead."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, str]] = {}
        """By idempotency key: what was asked."""
        self.refused: str | None = None
        """The code with which it refuses refunds."""
        self.broken: int | None = None
        self.refused_orders: dict[str, str] | None = None
        """Code and parameter of the error with which it refuses orders for good."""
        self.lasts = 86_400
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:] if line)}
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        status, content = self._session(lines[0], headers, body)
        payload = json.dumps(content).encode()
        writer.write(
            f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + payload
        )
        await writer.drain()
        writer.close()

    def _session(self, request: str, headers: Mapping[str, str], body: str) -> tuple[int, dict[str, Any]]:
        if self.broken is not None:
            return self.broken, {"error": {"type": "api_error", "message": "down"}}
        method, path, _ = request.split(" ")
        if headers["authorization"] != "Bearer sk_test_1":
            return 401, {"error": {"type": "invalid_request_error", "message": "no"}}
        if method == "GET":
            session = path.removeprefix("/v1/checkout/sessions/")
            return 200, {"id": session, "object": "checkout.session", "payment_intent": f"pi_{session}"}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        key = headers["idempotency-key"]
        if path == "/v1/refunds":
            return self._refund(key, form)
        self.asked.append(form)
        if self.refused_orders is not None:
            return 400, {"error": {"type": "invalid_request_error", "message": "no", **self.refused_orders}}
        if key not in self.sessions:
            session = f"cs_test_{new_id()}"
            self.sessions[key] = {
                "id": session,
                "object": "checkout.session",
                "url": f"https://checkout.stripe.com/c/pay/{session}",
                "expires_at": int(time.time()) + self.lasts,
                "client_reference_id": form["client_reference_id"],
            }
        return 200, self.sessions[key]

    def _refund(self, key: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.refused is not None:
            return 400, {"error": {"type": "invalid_request_error", "code": self.refused, "message": "no"}}
        self.refunds[key] = form
        return 200, {"id": f"re_{key}", "object": "refund", "status": "succeeded"}


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
