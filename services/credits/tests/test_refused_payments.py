"""CRED-6, CRED-7: what the payment provider refuses for good is told apart from what passes."""

from __future__ import annotations

import pytest
from makegood_contracts.ids import new_id

from .credit_api import slug
from .payment_shop import Shop, invoiced, pay

CODES = [
    ({"code": "amount_too_small"}, "amount-too-small"),
    ({"code": "amount_too_large"}, "amount-too-large"),
    ({"param": "line_items[0][price_data][currency]"}, "currency-not-supported"),
    ({"code": "parameter_invalid_integer"}, "payment-refused"),
]


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(("error", "code"), CODES)
async def test_a_purchase_that_is_refused_for_good_says_why_and_asks_for_no_repetition(
    stripe_shop: Shop, error: dict[str, str], code: str
) -> None:
    server = stripe_shop.provider.server  # type: ignore[attr-defined]
    server.refused_orders = error
    answer = await stripe_shop.api.buy({"quantity": 1}, key := new_id())
    assert slug(answer) == (409, "payment-refused")
    (reason,) = answer.json()["reasons"]
    assert reason["code"] == code
    assert "Retry-After" not in answer.headers
    listed = await stripe_shop.api.call("GET", "/v1/purchases", "member", "member-1")
    assert listed.json()["items"] == [], "nothing is left of it"
    server.refused_orders = None
    assert (await stripe_shop.api.buy({"quantity": 1}, key)).status_code == 201


@pytest.mark.rule("CRED-7")
async def test_a_charge_that_is_refused_for_good_is_asked_anew_once_it_can_be_paid(stripe_shop: Shop) -> None:
    path, _ = await invoiced(stripe_shop)
    server = stripe_shop.provider.server  # type: ignore[attr-defined]
    server.refused_orders = {"code": "amount_too_small"}
    answer = await pay(stripe_shop, path)
    assert slug(answer) == (409, "payment-refused")
    assert answer.json()["reasons"][0]["code"] == "amount-too-small"
    assert "Retry-After" not in answer.headers
    server.refused_orders = None
    answer = await pay(stripe_shop, path)
    assert answer.status_code == 200
    first, second = (asked["client_reference_id"] for asked in server.asked)
    assert first != second, "Stripe repeats its first answer to the same key"


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
async def test_what_passes_is_answered_with_a_time_to_try_again(stripe_shop: Shop, status: int) -> None:
    stripe_shop.provider.server.broken = status  # type: ignore[attr-defined]
    answer = await stripe_shop.api.buy({"quantity": 1})
    assert slug(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "30"
