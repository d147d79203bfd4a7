"""Minor units (ISO 4217): on the development checkout, and as Stripe counts them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from makegood_contracts.currencies import currency_codes, major_units
from makegood_contracts.events import InvoiceWish
from makegood_contracts.ids import new_id
from makegood_credits.domain.plans import PLANS, CataloguePlan
from makegood_credits.payments.port import ImpossibleEvent, Order, OrderRefused
from makegood_credits.payments.stripe_amounts import money_of, stripe_amount
from makegood_plans.plans import Money

from .credit_api import MEMBER, Api
from .credits_harness import extended, requested, reserved
from .payment_providers import Stripe, stripe_harness
from .payment_shop import Shop

STRIPE: dict[str, int] = {
    # ISO 4217's minor units → what https://docs.stripe.com/currencies says for the same amount
    "USD": 123_400, "JPY": 123_400, "RSD": 123_400, "HUF": 123_400, "TWD": 123_400, "KWD": 123_400, "XOF": 123_400,
    "ISK": 12_340_000, "UGX": 12_340_000, "MGA": 1_234,
}  # fmt: skip


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[Stripe]:
    async with stripe_harness() as made:
        yield made


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(("currency", "counted"), STRIPE.items())
async def test_stripe_is_asked_refunded_and_heard_in_its_own_units(stripe: Stripe, currency: str, counted: int) -> None:
    owed, checkout = Money(123_400, currency), new_id()
    await stripe.provider.open(Order(checkout, owed, "Session charge"))
    (asked,) = stripe.server.asked
    assert asked["line_items[0][price_data][unit_amount]"] == str(counted)
    body, headers = stripe.hook(checkout, "paid", Money(counted, currency))
    event = stripe.provider.read(headers, body)
    assert event is not None
    assert event.amount == owed
    await stripe.provider.refund("refund-1", "cs_1", owed)
    assert stripe.server.refunds["refund-1"]["amount"] == str(counted)


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (Money(2_505, "KWD"), "amount-not-divisible"),
        (Money(1, "BHD"), "amount-not-divisible"),
        (Money(1_250, "MGA"), "amount-not-divisible"),
        (Money(1_000, "IQD"), "currency-not-supported"),
    ],
)
async def test_what_stripe_cannot_charge_exactly_is_refused_before_it_is_asked(
    stripe: Stripe, amount: Money, code: str
) -> None:
    with pytest.raises(OrderRefused) as refused:
        await stripe.provider.open(Order(new_id(), amount, "Session charge"))
    assert refused.value.code == code
    assert stripe.server.asked == []


@pytest.mark.rule("CRED-6")
async def test_half_a_krona_at_stripe_is_an_impossible_payment(stripe: Stripe) -> None:
    body, headers = stripe.hook(new_id(), "paid", Money(550, "ISK"))
    with pytest.raises(ImpossibleEvent):
        stripe.provider.read(headers, body)


@given(st.sampled_from(sorted(currency_codes())), st.integers(1, 10**9))
def test_what_stripe_takes_comes_back_as_the_same_amount(currency: str, minor: int) -> None:
    try:
        counted = stripe_amount(Money(minor, currency))
    except OrderRefused:
        return
    assert money_of(counted, currency) == Money(minor, currency)
    assert counted in {int(major_units(minor, currency).scaleb(digits)) for digits in (0, 2, 3)}


@pytest.mark.rule("CRED-7")
@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [
        (5000, "JPY", "¥5,000"),
        (250_000, "RSD", "RSD\u00a02,500.00"),
        (2505, "KWD", "KWD\u00a02.505"),
        (1200, "EUR", "€12.00"),
    ],
)
async def test_the_development_checkout_writes_each_currency_with_its_own_digits(
    api: Api, amount_minor: int, currency: str, shown: str
) -> None:
    await api.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=30)
    await api.harness.handle(asked)
    await api.harness.handle(reserved(asked))
    due = date(2026, 11, 30)
    await api.harness.handle(extended(asked, InvoiceWish(amount_minor=amount_minor, currency=currency, due_on=due)))
    (invoice,) = (await api.own("/invoices"))["items"]
    paying = await api.call("POST", f"{MEMBER}/invoices/{invoice['id']}/pay", "member", "member-1")
    address = paying.json()["checkout_url"]
    page = await api.client.get(address[address.index("/dev/") :])
    assert f"Session charge: {shown}<" in page.text


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("currency", ["ZZZ", "XXX", "XTS", "XAU", "XDR", "CHE", "usd", ""])
def test_a_plan_costs_money_that_people_pay_with(currency: str) -> None:
    assert {plan.unit_price.currency for plan in PLANS.values() if plan.unit_price} == {"USD"}
    with pytest.raises(ValueError, match="ISO 4217 currency"):
        CataloguePlan("p", "eap", (30,), ("video",), 1, name="P", unit_price=Money(1, currency))
    with pytest.raises(ValueError, match="ISO 4217 currency"):
        CataloguePlan("p", "eap", (30,), ("video",), None, name="P", co_pay=Money(1, currency))


@pytest.mark.rule("EXT-1")
@pytest.mark.parametrize("currency", ["ZZZ", "XXX", "XTS", "XAG"])
async def test_nobody_is_charged_in_what_is_no_money_whoever_signs_it(shop: Shop, currency: str) -> None:
    asked = requested(length=30)
    await shop.harness.handle(asked)
    await shop.harness.handle(reserved(asked))
    invoice = InvoiceWish(amount_minor=500, currency=currency, due_on=date(2026, 11, 30))
    refused = await shop.harness.handle_now(extended(asked, invoice))
    assert set(refused.values()) == {"not-its-terms"}
    assert (await shop.api.own("/invoices"))["items"] == []
