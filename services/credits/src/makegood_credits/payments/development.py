"""A payment provider that needs no account: whoever opens its page decides whether the payment succeeds.

It signs its webhooks as real ones do: HMAC-SHA256 over timestamp and body, in `Makegood-Signature: t=…,v1=…`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import msgspec
from makegood_chassis import real_time
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money

from makegood_credits.payments.port import NotSigned, OpenedCheckout, Order, PaymentEvent, PaymentOutcome, payment_event

HEADER: Final = "makegood-signature"
TOLERANCE: Final = 300
"""Seconds for which a signature is valid."""


class _Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    checkout_id: str
    outcome: PaymentOutcome
    amount_minor: int | float
    currency: str


class DevelopmentPayments:
    """`page`: the start of its page's address, `{page}/{checkout_id}`."""

    name = "development"

    def __init__(self, secret: str, page: str) -> None:
        self._secret = secret.encode()
        self._page = page

    async def open(self, order: Order) -> OpenedCheckout:
        return OpenedCheckout(order.checkout_id, f"{self._page}/{order.checkout_id}")

    async def refund(self, refund_id: str, reference: str, amount: Money) -> None:
        """No money ever moved."""

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent | None:
        moment = self._check(headers.get(HEADER, ""), body)
        if abs(real_time.now() - moment) > TOLERANCE:
            raise NotSigned("the signature is too old")
        try:
            hook = msgspec.json.decode(body, type=_Hook)
        except msgspec.MsgspecError as error:
            raise NotSigned("the body is not an event of this provider") from error
        return payment_event(body, hook.id, hook.checkout_id, hook.outcome, hook.amount_minor, hook.currency)

    def hook(
        self, checkout_id: str, outcome: PaymentOutcome, amount: Money, *, event_id: str | None = None
    ) -> tuple[bytes, dict[str, str]]:
        """Body and headers of the webhook that reports this."""
        body = msgspec.json.encode(
            _Hook(event_id or new_id(), checkout_id, outcome, amount.amount_minor, amount.currency)
        )
        moment = int(real_time.now())
        return body, {HEADER: f"t={moment},v1={self.sign(moment, body)}", "content-type": "application/json"}

    def sign(self, moment: int, body: bytes) -> str:
        return hmac.new(self._secret, b"%d." % moment + body, hashlib.sha256).hexdigest()

    def _check(self, header: str, body: bytes) -> int:
        parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
        moment = parts.get("t", "")
        if not (moment.isascii() and moment.isdigit()) or len(moment) > 12:
            raise NotSigned("the signature is missing")
        expected = self.sign(int(moment), body).encode()
        if not hmac.compare_digest(expected, parts.get("v1", "").encode(errors="replace")):
            raise NotSigned("the signature is wrong")
        return int(moment)
