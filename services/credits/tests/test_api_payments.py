"""CRED-6, CRED-7: buying credits and paying charges, with both payment providers; webhooks in every order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from makegood_contracts.events import CreditGranted, InvoicePaid
from makegood_contracts.ids import new_id
from makegood_credits.api.dev_checkouts import dev_checkouts
from makegood_credits.bootstrap import bootstrap
from makegood_credits.settings import CreditsSettings
from makegood_plans.plans import Money
from makegood_testkit.production import production_values

from .credit_api import MEMBER, Api, slug
from .credit_building import NOW
from .credits_harness import completed, missed, requested
from .payment_providers import Stripe
from .payment_shop import PRICE, Shop, invoiced, pay


@pytest.mark.rule("CRED-6")
async def test_a_credit_is_bought_paid_and_arrives_once(shop: Shop) -> None:
    answer = await shop.api.buy({"quantity": 2})
    body = answer.json()
    assert answer.headers["location"] == f"/v1/purchases/{body['id']}"
    assert {name: body[name] for name in ("status", "quantity", "length_minutes", "amount")} == {
        "status": "pending",
        "quantity": 2,
        "length_minutes": 30,
        "amount": {"amount_minor": 13000, "currency": "USD"},
    }
    assert body["checkout_url"].startswith("http")
    read = await shop.api.call("GET", answer.headers["location"], "member", "member-1")
    assert read.json() == body
    checkout = await shop.checkout_of("purchase_id", body["id"])
    for _ in range(3):
        await shop.tell(checkout, "paid", Money(13000, "USD"), "evt_1")
    await shop.tell(checkout, "paid", Money(13000, "USD"), "evt_2")
    assert await shop.status(body["id"]) == "paid"
    granted = [each for each in await shop.harness.published(CreditGranted) if each.source == "purchase"]
    assert [(each.amount, each.length_minutes) for each in granted] == [(2, 30)]
    assert granted[0].expires_at == NOW + timedelta(days=365)
    assert await shop.harness.balance() == (6, 0)
    items = (await shop.api.own("/ledger"))["items"]
    assert (items[0]["kind"], items[0]["amount"], items[0]["reason"]) == ("purchase", 2, "Bought by the member.")
    assert await shop.harness.imbalances() == []


@pytest.mark.rule("CRED-6")
async def test_what_is_bought_pays_for_sessions_after_what_lapses_sooner(shop: Shop) -> None:
    _, checkout = await shop.buy()
    await shop.tell(checkout, "paid")
    await shop.harness.handle(*(requested(length=30) for _ in range(4)))
    lots = (await shop.api.own("/credits"))["lots"]
    assert [(lot["source"], lot["available"], lot["held"]) for lot in lots] == [("plan", 0, 4), ("purchase", 1, 0)]
    await shop.harness.handle(requested(length=30, starts_at=NOW + timedelta(days=30)))
    assert await shop.harness.balance() == (0, 5)


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize("order", [*permutations(["paid", "failed"]), ("paid", "failed", "paid"), ("failed", "failed")])
async def test_web_hooks_in_any_order_come_to_the_same(shop: Shop, order: tuple[str, ...]) -> None:
    purchase, checkout = await shop.buy()
    for number, outcome in enumerate(order):
        await shop.tell(checkout, outcome, event_id=f"evt_{number}")
    for number, outcome in reversed(list(enumerate(order))):
        await shop.tell(checkout, outcome, event_id=f"evt_{number}")
    paid = "paid" in order
    assert await shop.status(purchase) == ("paid" if paid else "failed")
    assert await shop.harness.balance() == (5 if paid else 4, 0)
    assert await shop.to_refund() == []
    assert len(await shop.effects()) == len(order)


@pytest.mark.rule("CRED-6")
async def test_web_hooks_that_come_at_the_same_time_have_one_effect(shop: Shop) -> None:
    purchase, checkout = await shop.buy()
    hooks = [shop.provider.hook(checkout, "paid", PRICE, event_id=f"evt_{number // 2}") for number in range(8)]
    hooks += [shop.provider.hook(checkout, "failed", PRICE) for _ in range(2)]
    assert await asyncio.gather(*(shop.api.hook(hook) for hook in hooks)) == [200] * 10
    assert await shop.status(purchase) == "paid"
    assert await shop.harness.balance() == (5, 0)
    assert await shop.harness.imbalances() == []


@pytest.mark.rule("CRED-6")
async def test_web_hooks_that_are_not_signed_or_about_nothing_do_nothing(shop: Shop) -> None:
    purchase, checkout = await shop.buy()
    assert await shop.api.hook(shop.provider.forged(checkout, PRICE)) == 400
    assert await shop.api.hook(shop.provider.hook(checkout, "paid", PRICE, age=400)) == 400
    assert await shop.api.hook((b"{}", {"content-type": "application/json"})) == 400
    for unknown in (new_id(), "not-an-id"):
        await shop.tell(unknown, "paid")
    assert await shop.effects() == ["unknown", "unknown"]
    assert await shop.status(purchase) == "pending"
    assert await shop.harness.balance() == (4, 0)


@pytest.mark.rule("CRED-6")
async def test_another_amount_than_was_asked_grants_nothing(shop: Shop) -> None:
    purchase, checkout = await shop.buy()
    await shop.tell(checkout, "paid", Money(1, "USD"))
    await shop.tell(checkout, "paid", Money(6500, "EUR"))
    assert await shop.status(purchase) == "pending"
    assert await shop.to_refund() == [1, 6500]
    assert await shop.give_back() == [], "a wrong amount is for a person to look at"
    assert await shop.harness.balance() == (4, 0)


@pytest.mark.rule("CRED-6", "PLAN-1")
@pytest.mark.parametrize(
    ("enrolment", "action"),
    [
        ({"plan_id": "eap-6"}, "get_more_sessions"),
        ({"plan_id": "messaging-only"}, "change_plan"),
        ({"plan_id": "insurance-credits"}, "check_credits"),
        ({"plan_id": "insurance-copay"}, "check_credits"),
        ({"plan_id": "sponsored-12"}, "renew_sponsored_benefits"),
        ({"plan_id": "out-of-pocket-4", "ends_on": "2026-11-10"}, "renew_plan"),
        ({"plan_id": "eap-6", "ends_on": "2026-11-10"}, "get_more_sessions"),
        ({"plan_id": "insurance-copay", "ends_on": "2026-11-10"}, "renew_insurance_coverage"),
        (None, "choose_plan"),
    ],
)
async def test_credits_are_sold_only_on_plans_that_allow_it_while_they_cover(
    api: Api, enrolment: dict[str, str] | None, action: str
) -> None:
    if enrolment is not None:
        await api.enrol(**enrolment)
    answer = await api.buy({"quantity": 1})
    assert slug(answer) == (409, "purchase-not-allowed")
    (reason,) = answer.json()["reasons"]
    assert (reason["code"], reason["remedy"]["action"]) == ("purchase-not-allowed", action)
    assert (await api.call("GET", "/v1/purchases", "member", "member-1")).json()["items"] == []


@pytest.mark.rule("CRED-6", "PLAN-1")
async def test_a_length_that_the_plan_has_not_is_not_sold(shop: Shop) -> None:
    assert slug(await shop.api.buy({"quantity": 1, "length_minutes": 45})) == (409, "length-not-in-plan")
    assert (await shop.api.buy({"quantity": 1, "length_minutes": 30})).status_code == 201


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"quantity": 0},
        {"quantity": 21},
        {"quantity": "1"},
        {"quantity": 1, "length_minutes": 0},
        {"quantity": 1, "price": 1},
    ],
)
async def test_a_purchase_that_makes_no_sense_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert slug(await api.buy(body)) == (422, "validation")


@pytest.mark.rule("CRED-6", "REL-4")
async def test_a_purchase_needs_a_key_and_is_made_once(shop: Shop) -> None:
    without = await shop.api.call("POST", "/v1/purchases", "member", "member-1", json={"quantity": 1})
    assert slug(without) == (400, "idempotency-key-required")
    answers = await asyncio.gather(*(shop.api.buy({"quantity": 1}, "once") for _ in range(5)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = await shop.api.buy({"quantity": 1}, "once")
    assert (again.status_code, {again.json()["id"]}) == (201, made)
    assert slug(await shop.api.buy({"quantity": 2}, "once")) == (422, "idempotency-key-reused")
    items = (await shop.api.call("GET", "/v1/purchases", "member", "member-1")).json()["items"]
    assert {item["id"] for item in items} == made


@pytest.mark.rule("CRED-6", "SEC-1")
async def test_purchases_are_the_buyers_own_and_support_reads_them(shop: Shop) -> None:
    bought = [(await shop.buy())[0] for _ in range(3)]
    page = (await shop.api.call("GET", "/v1/purchases?limit=2", "member", "member-1")).json()
    rest = await shop.api.call("GET", f"/v1/purchases?limit=2&cursor={page['next_cursor']}", "member", "member-1")
    listed = [item["id"] for item in page["items"] + rest.json()["items"]]
    assert listed == bought[::-1]
    path = f"/v1/purchases/{bought[0]}"
    people = {("member", "member-2"): 404, ("support", "s"): 200, ("provider", "p"): 403, ("ops", "o"): 403}
    for (role, subject), status in people.items():
        assert (await shop.api.call("GET", path, role, subject)).status_code == status
    assert (await shop.api.call("GET", "/v1/purchases", "member", "member-2")).json()["items"] == []
    other = await shop.api.call("GET", "/v1/purchases?member_id=member-1", "member", "member-2")
    assert other.status_code == 404
    for query, expected in (("", 3), ("?member_id=member-1", 3), ("?member_id=member-2", 0)):
        found = (await shop.api.call("GET", f"/v1/purchases{query}")).json()["items"]
        assert len(found) == expected
    assert (await shop.api.call("GET", f"/v1/purchases/{new_id()}")).status_code == 404
    refused = await shop.api.call("POST", "/v1/purchases", json={"quantity": 1}, headers={"Idempotency-Key": new_id()})
    assert refused.status_code == 403


@pytest.mark.rule("CRED-6")
async def test_a_provider_that_is_away_takes_nothing_and_the_same_key_may_try_again(stripe_shop: Shop) -> None:
    assert isinstance(stripe_shop.provider, Stripe)
    stripe_shop.provider.server.broken = 503
    answer = await stripe_shop.api.buy({"quantity": 1}, "again")
    assert (slug(answer), answer.headers["retry-after"]) == ((503, "unavailable"), "30")
    assert (await stripe_shop.api.call("GET", "/v1/purchases")).json()["items"] == []
    stripe_shop.provider.server.broken = None
    assert (await stripe_shop.api.buy({"quantity": 1}, "again")).status_code == 201


@pytest.mark.rule("CRED-6")
async def test_a_purchase_whose_process_died_before_it_had_an_address_gets_one_when_it_is_read(
    stripe_shop: Shop,
) -> None:
    purchase, checkout = await stripe_shop.buy()
    async with stripe_shop.harness.database.reading() as queries:
        await queries.execute("UPDATE checkouts SET url = NULL, reference = NULL")
    await stripe_shop.tell(checkout, "failed", event_id="evt_0")
    read = await stripe_shop.api.call("GET", f"/v1/purchases/{purchase}", "member", "member-1")
    assert (read.json()["status"], read.json()["checkout_url"]) == ("failed", None)
    other, _ = await stripe_shop.buy()
    async with stripe_shop.harness.database.reading() as queries:
        await queries.execute("UPDATE checkouts SET url = NULL, reference = NULL WHERE purchase_id = $1", other)
    read = await stripe_shop.api.call("GET", f"/v1/purchases/{other}", "member", "member-1")
    assert read.json()["checkout_url"].startswith("https://checkout.stripe.com/")


@pytest.mark.rule("CRED-7", "BOOK-7")
async def test_an_overdue_charge_is_paid_and_booking_goes_on(shop: Shop) -> None:
    path, _ = await invoiced(shop)
    await shop.harness.move_to(NOW + timedelta(days=8))
    assert (await shop.api.own(path.removeprefix(MEMBER)))["status"] == "overdue"
    answer = await pay(shop, path)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["amount"]["amount_minor"]) == ("overdue", 1200)
    again = await pay(shop, path, key="k")
    assert again.json()["checkout_url"] == answer.json()["checkout_url"], "one checkout while it stands"
    checkout = await shop.checkout_of("invoice_id", path.rpartition("/")[2])
    await shop.tell(checkout, "paid", Money(1200, "EUR"), "evt_1")
    await shop.tell(checkout, "paid", Money(1200, "EUR"), "evt_1")
    (told,) = await shop.harness.published(InvoicePaid)
    assert (told.amount_minor, told.paid_at) == (1200, shop.harness.clock.moment)
    assert (await shop.api.own(path.removeprefix(MEMBER)))["status"] == "paid"
    assert slug(await pay(shop, path)) == (409, "invoice-not-payable")
    repeated = await pay(shop, path, key="k")
    assert (repeated.status_code, repeated.json()) == (200, again.json())
    later = shop.harness.clock.moment + timedelta(days=2)
    asked = requested(length=30, starts_at=later, hold_until=later)
    await shop.harness.handle(asked)
    assert await shop.harness.state(asked.session_id) == "held"
    assert await shop.harness.imbalances() == []


@pytest.mark.rule("CRED-7", "CRED-6")
async def test_a_failure_after_the_payment_changes_nothing_of_a_charge_and_nothing_goes_back(shop: Shop) -> None:
    path, _ = await invoiced(shop)
    await pay(shop, path)
    checkout = await shop.checkout_of("invoice_id", path.rpartition("/")[2])
    for outcome in ("failed", "paid", "failed", "paid"):
        await shop.tell(checkout, outcome, Money(1200, "EUR"))
    assert await shop.effects() == ["failed", "paid", "none", "none"]
    assert (await shop.api.own(path.removeprefix(MEMBER)))["status"] == "paid"
    assert await shop.to_refund() == []


@pytest.mark.rule("CRED-7")
async def test_what_is_not_due_cannot_be_paid(shop: Shop) -> None:
    await shop.api.enrol(plan_id="insurance-copay", starts_on="2026-11-02")
    asked = requested()
    await shop.harness.handle(asked)
    (item,) = (await shop.api.own("/invoices"))["items"]
    path = f"{MEMBER}/invoices/{item['id']}"
    refused = await pay(shop, path)
    assert slug(refused) == (409, "invoice-not-payable")
    assert "not due yet" in refused.json()["detail"]
    await shop.harness.handle(completed(asked))
    assert (await pay(shop, path)).status_code == 200
    assert (await pay(shop, path, "member-2")).status_code == 404
    assert (await pay(shop, path.replace("member-1", "member-2"), "member-2")).status_code == 404
    assert (await pay(shop, path, "support-1", "support")).status_code == 403
    assert (await pay(shop, f"{MEMBER}/invoices/none")).status_code == 404


@pytest.mark.rule("CRED-7", "MISS-3")
async def test_money_for_a_charge_that_is_void_by_now_is_to_be_given_back(shop: Shop) -> None:
    path, asked = await invoiced(shop)
    await pay(shop, path)
    await shop.harness.handle(missed(asked))
    checkout = await shop.checkout_of("invoice_id", path.rpartition("/")[2])
    await shop.tell(checkout, "paid", Money(1200, "EUR"))
    assert (await shop.api.own(path.removeprefix(MEMBER)))["status"] == "void"
    assert await shop.to_refund() == [1200]
    assert await shop.harness.published(InvoicePaid) == []


@pytest.mark.rule("CRED-7")
async def test_a_checkout_that_stands_no_longer_gives_way_to_a_new_one(stripe_shop: Shop) -> None:
    assert isinstance(stripe_shop.provider, Stripe)
    path, _ = await invoiced(stripe_shop)
    stripe_shop.provider.server.lasts = 30
    first = (await pay(stripe_shop, path)).json()["checkout_url"]
    second = (await pay(stripe_shop, path)).json()["checkout_url"]
    assert first != second
    checkout = await stripe_shop.checkout_of("state = 'open' AND invoice_id", path.rpartition("/")[2])
    await stripe_shop.tell(checkout, "failed", Money(1200, "EUR"))
    third = (await pay(stripe_shop, path)).json()["checkout_url"]
    assert third not in (first, second)


@pytest.mark.rule("CRED-7", "SEC-5")
async def test_buying_and_paying_leave_rows_of_who_did_what(shop: Shop) -> None:
    path, _ = await invoiced(shop)
    await pay(shop, path)
    await shop.buy()
    rows = (await shop.api.call("GET", "/v1/credits/access?person_id=member-1&limit=2")).json()["items"]
    assert [row["operation"] for row in rows] == ["purchase.make", "invoice.pay"]
    assert rows[1]["entity"] == f"invoice:{path.rpartition('/')[2]}"


@pytest.mark.rule("CRED-6")
async def test_on_the_development_page_a_person_pays_or_declines(api: Api) -> None:
    await api.enrol(plan_id="out-of-pocket-4")

    async def deliver(body: bytes, headers: dict[str, str]) -> int:
        return await api.hook((body, headers))

    app: FastAPI = api.app
    app.router.routes[:] = [route for route in app.router.routes if not getattr(route, "path", "").startswith("/dev")]
    pages: APIRouter = dev_checkouts(app.state.service, app.state.service.dependencies.payments, deliver)
    app.router.routes.extend(pages.routes)
    app.middleware_stack = None  # it is made again, with these routes
    for choice, shown, status, available in (("decline", "Declined.", "failed", 4), ("pay", "Paid.", "paid", 5)):
        bought = (await api.buy({"quantity": 1})).json()
        page = bought["checkout_url"].removeprefix("http://127.0.0.1:8080")
        looked = await api.client.get(page)
        assert (looked.status_code, looked.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "$65.00" in looked.text
        assert f'action="{page}/{choice}"' in looked.text
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = await api.client.post(f"{page}/{choice}", headers=form)
        assert (answer.status_code, shown in answer.text) == (200, True)
        read = await api.call("GET", f"/v1/purchases/{bought['id']}", "member", "member-1")
        assert read.json()["status"] == status
        assert await api.harness.balance() == (available, 0)
    assert (await api.client.post(f"{page}/steal")).status_code == 404
    assert (await api.client.get(f"/dev/checkouts/{new_id()}")).status_code == 404


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(("provider", "webhook"), [("", 503), ("stripe", 400)])
async def test_production_has_no_page_that_pays(provider: str, webhook: int) -> None:
    settings = CreditsSettings(**{**production_values("credits"), "PAYMENT_PROVIDER": provider})
    service = bootstrap(settings)
    assert service.app is not None
    service.health.started = True
    transport = httpx.ASGITransport(service.app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://credits") as client:
        assert (await client.get(f"/dev/checkouts/{new_id()}")).status_code == 404
        assert (await client.post(f"/dev/checkouts/{new_id()}/pay")).status_code == 404
        assert (await client.post("/v1/webhooks/payments", json={})).status_code == webhook
