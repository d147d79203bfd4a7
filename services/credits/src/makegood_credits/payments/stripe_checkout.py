"""Stripe, through its own library: Checkout Sessions, and webhooks checked by the library.

https://docs.stripe.com/payments/checkout and https://docs.stripe.com/webhooks; the endpoint listens to
`checkout.session.completed`, `.async_payment_succeeded`, `.async_payment_failed` and `.expired`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec
import stripe
from makegood_chassis.messaging import failpoints
from makegood_plans.plans import Money

from makegood_credits.payments.port import (
    ImpossibleEvent,
    NotSigned,
    OpenedCheckout,
    Order,
    OrderRefusal,
    OrderRefused,
    PaymentEvent,
    PaymentOutcome,
    PaymentsUnavailable,
    RefundRefused,
    payment_event,
)
from makegood_credits.payments.stripe_amounts import money_of, stripe_amount

_TIMEOUT: Final = 4.0
"""Seconds that Stripe has to accept a connection, and again for its answer."""
_RETRIES: Final = 1
_LONGEST: Final = 9.0
"""Seconds that a request may take with all its attempts, because a payer is waiting."""
TOLERANCE: Final = 300
"""Seconds for which a signature is valid."""
_OUTCOMES: Final[dict[str, PaymentOutcome]] = {
    "checkout.session.completed": "paid",
    "checkout.session.async_payment_succeeded": "paid",
    "checkout.session.async_payment_failed": "failed",
    "checkout.session.expired": "failed",
}
_REFUSALS: Final[dict[str, tuple[OrderRefusal, str]]] = {
    "amount_too_small": (
        "amount-too-small",
        "The amount is smaller than the payment provider accepts in this currency.",
    ),
    "amount_too_large": (
        "amount-too-large",
        "The amount is larger than the payment provider accepts in this currency.",
    ),
}
"""Stripe's codes (https://docs.stripe.com/error-codes) that tell the payer something useful."""


class StripePayments:
    """`return_url`: the start of the client app's addresses to which the payer returns."""

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

    async def open(self, order: Order) -> OpenedCheckout:
        amount = stripe_amount(order.amount)
        back = f"{self._return_url}/payments/{order.checkout_id}"
        try:
            async with asyncio.timeout(_LONGEST):
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
                                    "unit_amount": amount,
                                    "product_data": {"name": order.what},
                                },
                            }
                        ],
                    },
                    {"idempotency_key": order.checkout_id},
                )
                failpoints.reached("payment.answered")
        except stripe.StripeError as error:
            raise _trouble(error) from error
        except TimeoutError as error:
            raise PaymentsUnavailable("no answer") from error
        if session.url is None:
            raise PaymentsUnavailable("the session has no address")
        return OpenedCheckout(session.id, session.url, datetime.fromtimestamp(session.expires_at, UTC))

    async def refund(self, refund_id: str, reference: str, amount: Money) -> None:
        try:
            session = await self._client.v1.checkout.sessions.retrieve_async(reference)
            intent = session.payment_intent
            if intent is None:
                raise RefundRefused("nothing was paid in this session")
            await self._client.v1.refunds.create_async(
                {
                    "payment_intent": intent if isinstance(intent, str) else intent.id,
                    "amount": stripe_amount(amount),
                    "metadata": {"refund_id": refund_id},
                },
                {"idempotency_key": refund_id},
            )
            failpoints.reached("payment.answered")
        except OrderRefused as error:
            raise RefundRefused(error.code) from error
        except stripe.InvalidRequestError as error:
            if (
                error.code != "charge_already_refunded"
            ):  # refunded in the dashboard, or with a key that Stripe has forgotten
                raise RefundRefused(str(error.code)) from error
        except stripe.StripeError as error:
            raise PaymentsUnavailable(type(error).__name__) from error

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent | None:
        signature = headers.get("stripe-signature", "")
        if not signature.isascii():  # the library can compare only ASCII
            raise NotSigned("the signature is not one of Stripe's")
        try:
            stripe.WebhookSignature.verify_header(body.decode(), signature, self._webhook_secret, TOLERANCE)
        except (ValueError, stripe.SignatureVerificationError) as error:
            raise NotSigned(type(error).__name__) from error
        return _event(body)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]


def _trouble(error: stripe.StripeError) -> PaymentsUnavailable | OrderRefused:
    """Only errors in the order itself are permanent. Keys, limits and outages are fixed without the payer."""
    if not isinstance(error, stripe.InvalidRequestError | stripe.CardError):
        return PaymentsUnavailable(type(error).__name__)
    other: tuple[OrderRefusal, str] = ("payment-refused", "The payment provider does not accept this payment.")
    if error.param is not None and error.param.endswith("[currency]"):
        other = ("currency-not-supported", "The payment provider does not accept this currency.")
    return OrderRefused(*_REFUSALS.get(error.code or "", other))


def _event(body: bytes) -> PaymentEvent | None:
    """Reads plain JSON, because the library's own objects raise if a member is missing."""
    try:
        event = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        event = None
    if not isinstance(event, dict):
        return payment_event(body, None, None, "failed", None, None)  # raises if it has no id
    kind = event.get("type")
    outcome = _OUTCOMES.get(kind) if isinstance(kind, str) else None
    if outcome is None:
        return None
    data = event.get("data")
    session = data.get("object") if isinstance(data, dict) else None
    if not isinstance(session, dict):
        session = {"client_reference_id": ""}
    if kind == "checkout.session.completed" and session.get("payment_status", "paid") != "paid":
        return None  # a slow payment: another event reports the result
    checkout_id = session.get("client_reference_id")
    if checkout_id is None:
        return None  # not a checkout of ours: the account may serve others too
    payment = payment_event(
        body, event.get("id"), checkout_id, outcome, session.get("amount_total"), session.get("currency")
    )
    if payment.amount is None:
        return payment
    try:
        return replace(payment, amount=money_of(payment.amount.amount_minor, payment.amount.currency))
    except OrderRefused as error:
        raise ImpossibleEvent(payment.id, f"the amount is not possible: {error.code}") from error
