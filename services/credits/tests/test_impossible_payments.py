"""CRED-6: webhooks that are signed and say what cannot be: 400, kept, without an effect."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makegood_credits.payments.port import MOST_MINOR, ImpossibleEvent, NotSigned, PaymentEvent
from makegood_credits.payments.stripe_checkout import StripePayments
from makegood_plans.plans import Money

from .payment_providers import Hook
from .payment_shop import PRICE, Shop

SECRET = "whsec_1"
PROVIDER = StripePayments("sk_test_1", SECRET, "https://app.example", "http://127.0.0.1:1")


def signed(body: bytes) -> Hook:
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, int(time.time()))
    return body, {"stripe-signature": header, "content-type": "application/json"}


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(
    "amount",
    [
        Money(0, "USD"),
        Money(-6500, "USD"),
        Money(MOST_MINOR + 1, "USD"),
        Money(2**63, "USD"),
        Money(10**40, "USD"),
        Money(65.5, "USD"),  # type: ignore[arg-type]
        Money(6500, "ZZZ"),
        Money(6500, ""),
        Money(6500, "US"),
    ],
)
async def test_an_absurd_amount_is_refused_and_kept(shop: Shop, amount: Money) -> None:
    purchase, checkout = await shop.buy()
    hook = shop.provider.hook(checkout, "paid", amount, event_id="evt_absurd")
    assert [await shop.api.hook(hook) for _ in range(2)] == [400, 400]
    assert await shop.effects() == ["refused"]
    assert await shop.status(purchase) == "pending"
    assert await shop.to_refund() == []
    await shop.tell(checkout, "paid", PRICE, "evt_right")
    assert await shop.status(purchase) == "paid"


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(
    "event",
    [
        [],
        7,
        {"id": None, "type": "checkout.session.completed", "data": {"object": {"client_reference_id": "c"}}},
        {"id": "x" * 3000, "type": "checkout.session.completed", "data": {"object": {"client_reference_id": "c"}}},
        {"id": "evt_1", "type": "checkout.session.completed"},
        {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": []}},
        {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {"client_reference_id": 7}}},
        {"id": "evt 1", "type": "checkout.session.expired", "data": {"object": {"client_reference_id": "c"}}},
    ],
)
async def test_an_event_of_another_shape_is_refused_and_kept(stripe_shop: Shop, event: Any) -> None:
    body, headers = signed(json.dumps(event).encode())
    assert await stripe_shop.api.hook((body, headers)) == 400
    assert await stripe_shop.effects() == ["refused"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_SESSION = st.fixed_dictionaries(
    {}, optional={"client_reference_id": _JSON, "amount_total": _JSON, "currency": _JSON, "payment_status": _JSON}
)
_EVENT = _JSON | st.fixed_dictionaries(
    {},
    optional={
        "id": _JSON,
        "type": _JSON | st.just("checkout.session.completed") | st.just("checkout.session.expired"),
        "data": _JSON | st.fixed_dictionaries({"object": _JSON | _SESSION}),
    },
)


@pytest.mark.rule("CRED-6")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_EVENT)
def test_whatever_is_signed_is_an_event_or_refused_by_name(event: Any) -> None:
    body, headers = signed(json.dumps(event).encode())
    try:
        read = PROVIDER.read(headers, body)
    except (ImpossibleEvent, NotSigned):
        return
    assert read is None or isinstance(read, PaymentEvent)
    if read is not None and read.amount is not None:
        assert 0 < read.amount.amount_minor <= MOST_MINOR
