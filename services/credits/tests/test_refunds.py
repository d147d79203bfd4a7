"""MISS-3, CRED-7: what was paid of a charge that is not owed goes back, once, and both sides see it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from makegood_contracts.events import InvoiceVoided, InvoiceWish, PaymentRefunded, SessionOutcome
from makegood_plans.plans import Money

from .credit_api import MEMBER
from .credits_harness import completed, corrected, extended, missed, requested, reserved
from .payment_providers import Stripe
from .payment_shop import Shop, invoiced, pay

CO_PAY = Money(2500, "USD")


async def paid_co_pay(shop: Shop) -> tuple[str, Any]:
    """(path of a paid co-pay, its completed session)"""
    await shop.api.enrol(plan_id="insurance-copay", starts_on="2026-11-02")
    asked = requested()
    await shop.harness.handle(asked)
    await shop.harness.handle(reserved(asked))
    await shop.harness.handle(completed(asked))
    (item,) = (await shop.api.own("/invoices"))["items"]
    await settle(shop, path := f"{MEMBER}/invoices/{item['id']}", CO_PAY)
    return path, asked


async def settle(shop: Shop, path: str, amount: Money) -> None:
    assert (await pay(shop, path)).status_code == 200
    async with shop.harness.database.reading() as queries:
        checkout = await queries.fetch_value(
            "SELECT id::text FROM checkouts WHERE invoice_id = $1 AND state = 'open'", path.rpartition("/")[2]
        )
    await shop.tell(checkout, "paid", amount)


async def seen(shop: Shop, path: str) -> tuple[str, str | None]:
    """(status of the charge, that of its refund)"""
    item = await shop.api.own(path.removeprefix(MEMBER))
    listed = (await shop.api.own("/invoices"))["items"]
    assert item in listed
    return item["status"], item["refund"] and item["refund"]["status"]


@pytest.mark.rule("MISS-3", "MISS-5")
async def test_a_co_pay_that_was_paid_goes_back_when_the_provider_missed_the_session_after_all(shop: Shop) -> None:
    path, asked = await paid_co_pay(shop)
    assert await seen(shop, path) == ("paid", None)
    correction = corrected(asked, "completed", "provider_missed")
    await shop.harness.handle(correction, correction)
    assert await seen(shop, path) == ("void", "due")
    assert (await shop.api.own("/invoices"))["items"][0]["refund"]["amount"]["amount_minor"] == 2500
    assert await shop.to_refund() == [2500]
    (told,) = await shop.harness.published(InvoiceVoided)
    assert (told.refunds, told.was_due, told.cause) == (True, True, "corrected")
    assert await shop.give_back() == ["done"]
    assert await seen(shop, path) == ("void", "done")
    assert await shop.to_refund() == []
    assert await shop.give_back() == [], "once"
    if isinstance(shop.provider, Stripe):
        assert [asked["amount"] for asked in shop.provider.server.refunds.values()] == ["2500"]


@pytest.mark.rule("MISS-3", "MISS-5")
async def test_it_is_due_again_when_the_outcome_is_corrected_again_and_each_payment_goes_back_once(shop: Shop) -> None:
    path, asked = await paid_co_pay(shop)
    current: SessionOutcome = "completed"
    for payments in (1, 2):
        await shop.harness.handle(corrected(asked, current, "provider_missed"))
        assert await shop.give_back() == ["done"]
        current = "member_no_show"
        await shop.harness.handle(corrected(asked, "provider_missed", current))
        assert (await seen(shop, path))[0] == "issued"
        await settle(shop, path, CO_PAY)
        assert (await seen(shop, path))[0] == "paid"
        async with shop.harness.database.reading() as queries:
            assert await queries.fetch_value("SELECT count(*) FROM refunds WHERE state = 'done'") == payments


@pytest.mark.rule("MISS-3", "CRED-6")
async def test_what_was_tried_and_not_paid_does_not_go_back(shop: Shop) -> None:
    path, asked = await invoiced(shop)
    await pay(shop, path)
    await shop.tell(await shop.checkout_of("invoice_id", path.rpartition("/")[2]), "failed", Money(1200, "EUR"))
    await settle(shop, path, Money(1200, "EUR"))
    await shop.harness.handle(missed(asked))
    assert await shop.to_refund() == [1200]
    assert await shop.give_back() == ["done"]


@pytest.mark.rule("MISS-3", "EXT-1")
async def test_an_extension_that_was_paid_goes_back_when_the_provider_misses_the_session(shop: Shop) -> None:
    path, asked = await invoiced(shop)
    await settle(shop, path, Money(1200, "EUR"))
    await shop.harness.handle(extended(asked, InvoiceWish(amount_minor=700, currency="EUR", due_on=date(2026, 11, 30))))
    await shop.harness.handle(missed(asked))
    assert await seen(shop, path) == ("void", "due")
    assert await shop.to_refund() == [1200]
    assert {each.refunds for each in await shop.harness.published(InvoiceVoided)} == {True, False}


@pytest.mark.rule("CRED-7")
async def test_money_that_was_not_owed_goes_back_by_itself(shop: Shop) -> None:
    path, asked = await invoiced(shop)
    await pay(shop, path)
    await shop.harness.handle(missed(asked))
    checkout = await shop.checkout_of("invoice_id", path.rpartition("/")[2])
    await shop.tell(checkout, "paid", Money(1200, "EUR"))
    await shop.tell(checkout, "paid", Money(1200, "EUR"))
    (told,) = await shop.harness.published(PaymentRefunded)
    assert (told.purchase_id, told.invoice_id, told.amount_minor) == (None, path.rpartition("/")[2], 1200)
    await shop.harness.handle(corrected(asked, "provider_missed", "completed"))
    await shop.harness.handle(corrected(asked, "completed", "provider_missed"))
    assert await shop.give_back() == ["done"]
    assert await seen(shop, path) == ("void", "done")


@pytest.mark.rule("MISS-3", "CRED-6")
async def test_a_provider_that_cannot_be_reached_is_asked_again_and_one_that_refuses_leaves_it_to_a_person(
    stripe_shop: Shop,
) -> None:
    assert isinstance(stripe_shop.provider, Stripe)
    server = stripe_shop.provider.server
    path, asked = await paid_co_pay(stripe_shop)
    await stripe_shop.harness.handle(corrected(asked, "completed", "provider_missed"))
    server.broken = 503
    assert await stripe_shop.give_back() == ["due"]
    async with stripe_shop.harness.database.reading() as queries:
        assert await queries.fetch_value("SELECT try_at > clock_timestamp() + interval '4 s' FROM refunds")
    server.broken, server.refused = None, "charge_disputed"
    assert await stripe_shop.give_back() == ["by_hand"]
    assert await seen(stripe_shop, path) == ("void", "by_hand")
    assert await stripe_shop.to_refund() == [2500]
