"""CRED-6: credits that a plan sells no more are not granted but paid back, and what is of no use does not count as available."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts.events import CreditGranted, PaymentRefunded
from makegood_plans.plans import Money

from .credit_building import NOW
from .payment_providers import Stripe
from .payment_shop import PRICE, Shop


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize("plan_id", ["eap-6", "insurance-copay", "insurance-credits", "messaging-only"])
async def test_a_payment_that_comes_after_the_plan_changed_goes_back(shop: Shop, plan_id: str) -> None:
    purchase, checkout = await shop.buy()
    await shop.api.enrol(plan_id=plan_id, starts_on="2026-11-20")
    before = await shop.api.own("/credits")
    for _ in range(2):
        await shop.tell(checkout, "paid")
    assert await shop.api.own("/credits") == before
    assert [each for each in await shop.harness.published(CreditGranted) if each.source == "purchase"] == []
    seen = (await shop.api.call("GET", f"/v1/purchases/{purchase}", "member", "member-1")).json()
    assert (seen["status"], seen["checkout_url"]) == ("failed", None)
    assert seen["refund"] == {"status": "due", "amount": {"amount_minor": 6500, "currency": "USD"}}
    (told,) = await shop.harness.published(PaymentRefunded)
    assert (told.member_id, told.purchase_id, told.invoice_id) == ("member-1", purchase, None)
    assert (told.amount_minor, told.currency) == (6500, "USD")
    assert await shop.to_refund() == [6500]
    assert await shop.give_back() == ["done"]
    listed = (await shop.api.call("GET", "/v1/purchases", "member", "member-1")).json()["items"]
    assert [(item["id"], item["refund"]["status"]) for item in listed] == [(purchase, "done")]
    assert (await shop.give_back(), await shop.to_refund()) == ([], []), "once"
    if isinstance(shop.provider, Stripe):
        assert [asked["amount"] for asked in shop.provider.server.refunds.values()] == ["6500"]
    assert await shop.harness.imbalances() == []


@pytest.mark.rule("CRED-6")
async def test_a_payment_that_comes_after_coverage_has_ended_goes_back(shop: Shop) -> None:
    purchase, checkout = await shop.buy(3)
    await shop.api.enrol(plan_id="out-of-pocket-4", ends_on="2026-11-30")
    await shop.harness.move_to(NOW + timedelta(days=20))
    await shop.tell(checkout, "paid", Money(3 * PRICE.amount_minor, "USD"))
    assert await shop.status(purchase) == "failed"
    assert await shop.to_refund() == [3 * PRICE.amount_minor]


@pytest.mark.rule("CRED-6")
async def test_a_payment_that_the_plan_still_takes_buys_credits(shop: Shop) -> None:
    purchase, checkout = await shop.buy()
    await shop.api.enrol(plan_id="eap-6", starts_on="2026-11-20")
    await shop.api.enrol(plan_id="out-of-pocket-4")
    await shop.tell(checkout, "paid")
    assert await shop.status(purchase) == "paid"
    assert await shop.to_refund() == []
    assert await shop.harness.published(PaymentRefunded) == []


@pytest.mark.rule("CRED-6", "CRED-4")
async def test_what_was_bought_before_the_plan_changed_is_shown_with_why_it_is_of_no_use(shop: Shop) -> None:
    _, checkout = await shop.buy(7)
    await shop.tell(checkout, "paid", Money(7 * PRICE.amount_minor, "USD"))
    assert (await shop.api.own("/credits"))["available"] == 11
    await shop.api.enrol(plan_id="eap-6", starts_on="2026-11-20")
    seen = await shop.api.own("/credits")
    assert (seen["available"], seen["unusable"], seen["next_credits"]) == (6, 7, None)
    by_source = {lot["source"]: lot for lot in seen["lots"]}
    assert (by_source["plan"]["available"], by_source["plan"]["unusable"]) == (6, None)
    assert by_source["purchase"]["available"] == 0
    assert by_source["purchase"]["unusable"] == {
        "credits": 7,
        "code": "length-not-in-plan",
        "detail": "The plan includes sessions of 45 minutes, and these credits are for 30.",
    }
    await shop.api.enrol(plan_id="out-of-pocket-4")
    assert (await shop.api.own("/credits"))["available"] == 11, "nothing is lost"
