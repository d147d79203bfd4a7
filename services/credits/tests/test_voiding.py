"""CRED-7: support voids a charge, with a reason, and it stays void."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts.events import InvoiceIssued, InvoiceVoided
from makegood_contracts.ids import new_id
from makegood_plans.plans import Money

from .credit_api import MEMBER, Api, slug
from .credit_building import NOW
from .credits_harness import completed, corrected, missed, requested
from .payment_shop import Shop, invoiced, pay


@pytest.mark.rule("CRED-7")
async def test_a_voided_invoice_is_owed_no_longer_and_says_why(shop: Shop) -> None:
    path, _ = await invoiced(shop)
    answer = await shop.api.call("POST", f"{path}/void", json={"reason": "Charged twice"})
    assert (answer.status_code, answer.json()["status"], answer.json()["void_reason"]) == (200, "void", "Charged twice")
    again = await shop.api.call("POST", f"{path}/void", json={"reason": "Another"})
    assert again.json() == answer.json()
    assert slug(await pay(shop, path)) == (409, "invoice-not-payable")
    (event,) = await shop.harness.published(InvoiceVoided)
    assert (event.cause, event.was_due, event.refunds) == ("support", True, False)


@pytest.mark.rule("CRED-7")
async def test_what_was_paid_of_a_voided_invoice_goes_back(shop: Shop) -> None:
    path, _ = await invoiced(shop)
    await pay(shop, path)
    checkout = await shop.checkout_of("invoice_id", path.rpartition("/")[2])
    await shop.tell(checkout, "paid", Money(1200, "EUR"))
    assert (await shop.api.call("POST", f"{path}/void", json={"reason": "r"})).json()["status"] == "void"
    assert await shop.to_refund() == [1200]
    assert await shop.give_back() == ["done"]


@pytest.mark.rule("CRED-7")
async def test_a_co_pay_that_support_voided_is_not_due_when_the_session_has_taken_place(api: Api) -> None:
    await api.enrol(plan_id="insurance-copay")
    asked = requested()
    await api.harness.handle(asked)
    (invoice,) = (await api.own("/invoices"))["items"]
    await api.call("POST", f"{MEMBER}/invoices/{invoice['id']}/void", json={"reason": "Goodwill"})
    await api.harness.handle(completed(asked))
    assert [each["status"] for each in (await api.own("/invoices"))["items"]] == ["void"]
    assert await api.harness.published(InvoiceIssued) == []


@pytest.mark.rule("CRED-7", "MISS-5")
async def test_no_corrected_outcome_makes_it_due_again(api: Api) -> None:
    await api.enrol(plan_id="insurance-copay")
    asked = requested()
    await api.harness.handle(asked)
    await api.harness.handle(completed(asked))
    (invoice,) = (await api.own("/invoices"))["items"]
    await api.call("POST", f"{MEMBER}/invoices/{invoice['id']}/void", json={"reason": "Goodwill"})
    await api.harness.handle(corrected(asked, "completed", "provider_missed"))
    await api.harness.handle(corrected(asked, "provider_missed", "completed"))
    assert [each["status"] for each in (await api.own("/invoices"))["items"]] == ["void"]


@pytest.mark.rule("CRED-7")
async def test_an_invoice_that_support_voided_blocks_no_booking(api: Api) -> None:
    await api.enrol(plan_id="insurance-copay")
    asked = requested()
    await api.harness.handle(asked)
    await api.harness.handle(completed(asked))
    (invoice,) = (await api.own("/invoices"))["items"]
    await api.harness.move_to(NOW + timedelta(days=18))
    assert [each["status"] for each in (await api.own("/invoices"))["items"]] == ["overdue"]
    await api.call("POST", f"{MEMBER}/invoices/{invoice['id']}/void", json={"reason": "Goodwill"})
    async with api.harness.database.reading() as queries:
        assert await queries.fetch_value("SELECT overdue FROM accounts WHERE member_id = 'member-1'") == 0


async def test_who_voids_what(api: Api) -> None:
    await api.enrol(plan_id="insurance-copay")
    asked = requested()
    await api.harness.handle(asked)
    (invoice,) = (await api.own("/invoices"))["items"]
    for role, subject in (("member", "member-1"), ("provider", "p"), ("ops", "o")):
        refused = await api.call("POST", f"{MEMBER}/invoices/{invoice['id']}/void", role, subject, json={"reason": "r"})
        assert refused.status_code == 403
    for path in (
        f"/v1/members/member-2/invoices/{invoice['id']}",
        f"{MEMBER}/invoices/{new_id()}",
        f"{MEMBER}/invoices/x",
    ):
        assert (await api.call("POST", f"{path}/void", json={"reason": "r"})).status_code == 404
    for body in ({}, {"reason": " "}, {"reason": "x" * 501}):
        answer = await api.call("POST", f"{MEMBER}/invoices/{invoice['id']}/void", json=body)
        assert slug(answer) == (422, "validation")
    await api.harness.handle(missed(asked))
