"""Stripe, through its own library: Checkout Sessions, and web-hooks checked by the library.

https://docs.stripe.com/payments/checkout and https://docs.stripe.com/webhooks; the endpoint listens to
`checkout.session.completed`, `.async_payment_succeeded`, `.async_payment_failed` and `.expired`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import stripe

from makegood_credits.domain.plans import Money
from makegood_credits.payments.port import (
    Checkout,
    NotSigned,
    Order,
    PaymentEvent,
    PaymentOutcome,
    PaymentsUnavailable,
    RefundRefused,
)

_TIMEOUT: Final = 8.0
_RETRIES: Final = 1
_OUTCOMES: Final[dict[str, PaymentOutcome]] = {
    "checkout.session.completed": "paid",
    "checkout.session.async_payment_succeeded": "paid",
    "checkout.session.async_payment_failed": "failed",
    "checkout.session.expired": "failed",
}


class StripePayments:
    """`return_url`: start of the client app's addresses to which the payer comes back."""

    name = "stripe"

    def __init__(self, secret_key: str, webhook_secret: str, return_url: str, api_base: str) -> None:
        self._http = stripe.HTTPXClient(timeout=_TIMEOUT)
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            http_client=self._http,
            max_network_retries=_RETRIES,
        )
        self._webhook_secret = webhook_secret
        self._return_url = return_url

    async def open(self, order: Order) -> Checkout:
        back = f"{self._return_url}/payments/{order.checkout_id}"
        try:
            session = await self._client.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "client_reference_id": order.checkout_id,
                    "success_url": f"{back}?outcome=paid",
                    "cancel_url": f"{back}?outcome=cancelled",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": order.amount.currency.lower(),
                                "unit_amount": order.amount.amount_minor,
                                "product_data": {"name": order.what},
                            },
                        }
                    ],
                },
                {"idempotency_key": order.checkout_id},
            )
        except stripe.StripeError as error:
            raise PaymentsUnavailable(type(error).__name__) from error
        if session.url is None:
            raise PaymentsUnavailable("the session has no address")
        return Checkout(session.id, session.url, datetime.fromtimestamp(session.expires_at, UTC))

    async def refund(self, refund_id: str, reference: str, amount: Money) -> None:
        try:
            session = await self._client.v1.checkout.sessions.retrieve_async(reference)
            intent = session.payment_intent
            if intent is None:
                raise RefundRefused("nothing was paid in this session")
            await self._client.v1.refunds.create_async(
                {
                    "payment_intent": intent if isinstance(intent, str) else intent.id,
                    "amount": amount.amount_minor,
                    "metadata": {"refund_id": refund_id},
                },
                {"idempotency_key": refund_id},
            )
        except stripe.InvalidRequestError as error:
            if error.code != "charge_already_refunded":  # by somebody in the dashboard, or by a key that Stripe forgot
                raise RefundRefused(str(error.code)) from error
        except stripe.StripeError as error:
            raise PaymentsUnavailable(type(error).__name__) from error

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent | None:
        signature = headers.get("stripe-signature", "")
        if not signature.isascii():  # the library compares ASCII alone
            raise NotSigned("the signature is no text of Stripe's")
        try:
            event = self._client.construct_event(body, signature, self._webhook_secret)
        except (ValueError, stripe.SignatureVerificationError) as error:
            raise NotSigned(type(error).__name__) from error
        outcome = _OUTCOMES.get(event.type)
        if outcome is None:
            return None
        session: Any = event.data.object
        if event.type == "checkout.session.completed" and session.payment_status != "paid":
            return None  # a slow payment: another event tells how it went
        if session.client_reference_id is None:
            return None  # not a checkout of ours: the account may serve others too
        amount = Money(session.amount_total, session.currency.upper()) if session.amount_total is not None else None
        return PaymentEvent(event.id, session.client_reference_id, outcome, amount)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]
