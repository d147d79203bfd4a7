"""CRED-6: one suite that both payment providers pass, and what is Stripe's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from makegood_contracts.ids import new_id
from makegood_credits.payments.choice import provider_of
from makegood_credits.payments.port import NotSigned, Order, PaymentEvent, PaymentsUnavailable, RefundRefused
from makegood_credits.payments.stripe_checkout import StripePayments
from makegood_credits.settings import CreditsSettings
from makegood_plans.plans import Money
from makegood_testkit.fault_proxy import FaultProxy
from makegood_testkit.production import PASSWORD, production_values
from pydantic import ValidationError

from .payment_providers import Development, PaymentHarness, Stripe, stripe_harness

PRICE = Money(6500, "USD")
STRIPE_KEY = f"sk_live_{PASSWORD}"


@pytest_asyncio.fixture(params=["development", "stripe"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[PaymentHarness]:
    if request.param == "development":
        yield Development()
        return
    async with stripe_harness() as made:
        yield made


@pytest_asyncio.fixture
async def stripe_only() -> AsyncIterator[Stripe]:
    async with stripe_harness() as made:
        yield made


@pytest.mark.rule("CRED-6")
async def test_a_checkout_has_an_address_and_is_opened_once(harness: PaymentHarness) -> None:
    order = Order(new_id(), PRICE, "1 session credit")
    first, again = await harness.provider.open(order), await harness.provider.open(order)
    other = await harness.provider.open(Order(new_id(), PRICE, "1 session credit"))
    assert first.url.startswith("http")
    assert (again.url, again.reference) == (first.url, first.reference)
    assert other.url != first.url


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize("outcome", ["paid", "failed"])
async def test_a_signed_web_hook_is_read(harness: PaymentHarness, outcome: str) -> None:
    checkout = new_id()
    body, headers = harness.hook(checkout, outcome, PRICE, event_id="evt_7")  # type: ignore[arg-type]
    event = harness.provider.read(headers, body)
    assert event == PaymentEvent("evt_7", checkout, outcome, PRICE)  # type: ignore[arg-type]
    body, headers = harness.hook(checkout, outcome, PRICE, age=200)  # type: ignore[arg-type]
    assert harness.provider.read(headers, body) is not None


@pytest.mark.rule("CRED-6")
async def test_what_is_not_signed_rightly_is_refused(harness: PaymentHarness) -> None:
    checkout = new_id()
    body, headers = harness.hook(checkout, "failed", PRICE)
    (name,) = [each for each in headers if each.endswith("signature")]
    too_old = harness.hook(checkout, "paid", PRICE, age=301)
    garbled = [
        "",
        "t=1",
        "v1=1",
        "t=x,v1=y",
        headers[name][:-1],
        headers[name] + "0",
        "t=1,v1=é",
        f"t={'9' * 400},v1=1",
    ]
    for given, sent in (
        harness.forged(checkout, PRICE),
        too_old,
        (body.replace(b"6500", b"1"), headers),
        (body + b" ", headers),
        (b"", headers),
        (body, {}),
        *((body, {name: text}) for text in garbled),
    ):
        with pytest.raises(NotSigned):
            harness.provider.read(sent, given)


@pytest.mark.rule("CRED-6")
async def test_a_signed_body_that_is_no_event_is_refused() -> None:
    payments = Development()
    for body in (b"[]", b"{}", b"nothing", b'{"id": 1}'):
        sent = {"makegood-signature": f"t={2**31},v1={payments.provider.sign(2**31, body)}"}
        with pytest.raises(NotSigned):
            payments.provider.read(sent, body)


@pytest.mark.rule("CRED-6")
async def test_stripe_is_asked_for_what_is_to_be_paid(stripe_only: Stripe) -> None:
    order = Order(new_id(), Money(13000, "EUR"), "2 session credits")
    checkout = await stripe_only.provider.open(order)
    (asked,) = stripe_only.server.asked
    assert asked["client_reference_id"] == order.checkout_id
    assert asked["mode"] == "payment"
    assert asked["line_items[0][price_data][unit_amount]"] == "13000"
    assert asked["line_items[0][price_data][currency]"] == "eur"
    assert asked["line_items[0][price_data][product_data][name]"] == "2 session credits"
    assert asked["success_url"].startswith(f"https://app.example/payments/{order.checkout_id}")
    assert checkout.until is not None
    assert checkout.until.tzinfo is not None


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
async def test_stripe_that_does_not_take_the_order_is_unavailable(stripe_only: Stripe, status: int) -> None:
    stripe_only.server.broken = status
    with pytest.raises(PaymentsUnavailable):
        await stripe_only.provider.open(Order(new_id(), PRICE, "1 session credit"))


@pytest.mark.rule("REL-9")
async def test_stripe_that_never_answers_is_unavailable_before_the_payer_gives_up(
    stripe_only: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makegood_credits.payments.stripe_checkout._LONGEST", 0.5)
    monkeypatch.setattr("makegood_credits.payments.stripe_checkout._TIMEOUT", 1000)
    with FaultProxy(urlsplit(stripe_only.server.url).port or 0) as proxy:
        provider = StripePayments("sk_test_1", "whsec_1", "https://app.example", f"http://{proxy.address}")
        proxy.begin("silent")
        async with asyncio.timeout(30):
            with pytest.raises(PaymentsUnavailable):
                await provider.open(Order(new_id(), PRICE, "1 session credit"))
        await provider.close()


@pytest.mark.rule("CRED-6", "MISS-3")
async def test_what_was_paid_goes_back_once_however_often_it_is_asked(harness: PaymentHarness) -> None:
    checkout = await harness.provider.open(Order(new_id(), PRICE, "Session charge"))
    for _ in range(2):
        await harness.provider.refund("refund-1", checkout.reference, PRICE)


@pytest.mark.rule("CRED-6", "MISS-3")
async def test_stripe_is_asked_to_give_back_what_was_paid_in_the_session(stripe_only: Stripe) -> None:
    server = stripe_only.server
    for _ in range(2):
        await stripe_only.provider.refund("refund-1", "cs_1", PRICE)
    assert list(server.refunds) == ["refund-1"], "a repeat has the same idempotency key"
    assert {name: server.refunds["refund-1"][name] for name in ("payment_intent", "amount")} == {
        "payment_intent": "pi_cs_1",
        "amount": "6500",
    }
    server.refused = "charge_already_refunded"
    await stripe_only.provider.refund("refund-1", "cs_1", PRICE)
    server.refused = "charge_disputed"
    with pytest.raises(RefundRefused):
        await stripe_only.provider.refund("refund-1", "cs_1", PRICE)
    server.broken = 500
    with pytest.raises(PaymentsUnavailable):
        await stripe_only.provider.refund("refund-1", "cs_1", PRICE)


@pytest.mark.rule("CRED-6")
async def test_slow_payments_and_events_of_others_at_stripe(stripe_only: Stripe) -> None:
    checkout = new_id()
    read = stripe_only.provider.read
    started, sent = stripe_only.event("checkout.session.completed", checkout, PRICE, payment_status="unpaid")
    assert read(sent, started) is None, "a bank transfer is under way"
    for kind, outcome in (
        ("checkout.session.async_payment_succeeded", "paid"),
        ("checkout.session.async_payment_failed", "failed"),
    ):
        body, sent = stripe_only.event(kind, checkout, PRICE)
        event = read(sent, body)
        assert event is not None
        assert event.outcome == outcome
    body, sent = stripe_only.event("customer.created", checkout, PRICE)
    assert read(sent, body) is None
    body, sent = stripe_only.event("checkout.session.completed", None, PRICE)
    assert read(sent, body) is None


def _settings(**values: str) -> CreditsSettings:
    without_stripe = {k: v for k, v in production_values("credits").items() if not k.startswith(("STRIPE", "PAYMENT"))}
    return CreditsSettings(**without_stripe | {name.upper(): value for name, value in values.items()})


@pytest.mark.rule("CRED-6")
def test_each_installation_has_a_provider_that_fits() -> None:
    assert provider_of(_settings()) is None
    development = provider_of(_settings(makegood_environment="development"))
    assert development is not None
    assert development.name == "development"
    with_stripe = provider_of(
        _settings(payment_provider="stripe", stripe_secret_key=STRIPE_KEY, stripe_webhook_secret=f"whsec_{PASSWORD}")
    )
    assert with_stripe is not None
    assert with_stripe.name == "stripe"
    for wrong in ({"payment_provider": "development"}, {"payment_provider": "stripe"}, {"payment_provider": "paypal"}):
        with pytest.raises(ValidationError):
            _settings(**wrong)
    assert STRIPE_KEY not in repr(_settings(stripe_secret_key=STRIPE_KEY))
