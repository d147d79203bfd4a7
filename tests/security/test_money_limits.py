"""Money and credits that one person could help themselves to: limits, second persons, signed nonsense (CRED-5 to CRED-7)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_credits.payments.choice import DEVELOPMENT_SECRET
from makegood_credits.payments.development import DevelopmentPayments
from makegood_devtools.client import Refused
from makegood_plans.plans import Money
from makegood_testkit.platform import Cast


def refusal(caught: pytest.ExceptionInfo[Refused]) -> tuple[int, str]:
    return caught.value.status, caught.value.slug


@pytest.mark.rule("CRED-5")
async def test_support_cannot_adjust_their_own_credits(cast: Cast) -> None:
    self_serving = cast.platform.person("support", cast.member.subject)
    with pytest.raises(Refused) as caught:
        await self_serving.post(f"/v1/members/{cast.member.subject}/adjustments", {"amount": 1, "reason": "Goodwill"})
    assert refusal(caught) == (403, "conflict-of-interest")
    await cast.balance(available=4, held=0)


@pytest.mark.rule("CRED-5")
async def test_a_large_adjustment_takes_two_people(cast: Cast) -> None:
    path = f"/v1/members/{cast.member.subject}/adjustments"
    proposed = await cast.support.post(path, {"amount": 100_000, "reason": "Goodwill"})
    assert (proposed.status, proposed["status"]) == (202, "proposed")
    await cast.balance(available=4, held=0)
    with pytest.raises(Refused) as caught:
        await cast.support.post(f"{proposed.headers['location']}/approve")
    assert refusal(caught) == (403, "conflict-of-interest")
    colleague = cast.platform.person("support", f"support-{uuid.uuid4().hex[:8]}")
    await colleague.post(f"{proposed.headers['location']}/reject")
    await cast.balance(available=4, held=0)


@pytest.mark.rule("CRED-5")
async def test_the_limit_follows_the_policy_over_its_topic(cast: Cast) -> None:
    ops = cast.platform.person("ops", f"ops-{uuid.uuid4().hex[:8]}")
    path = f"/v1/members/{cast.member.subject}/adjustments"

    async def tried() -> int:
        return (await cast.support.post(path, {"amount": 11, "reason": "Goodwill"})).status

    assert await tried() == 202
    await ops.post("/v1/policies", {"adjustment_limit": 11})
    try:
        assert await cast.eventually(tried, lambda status: status == 201) == 201
    finally:
        await ops.post("/v1/policies", {"adjustment_limit": 10})


@pytest.mark.rule("EXT-1")
@pytest.mark.parametrize(
    ("charge", "pointer"),
    [
        ({"amount_minor": 100_001, "currency": "USD"}, "#/invoice/amount_minor"),
        ({"amount_minor": 100_000_000, "currency": "USD"}, "#/invoice/amount_minor"),
        ({"amount_minor": 1, "currency": "ZZZ"}, "#/invoice/currency"),
        ({"amount_minor": 1, "currency": "XXX"}, "#/invoice/currency"),
    ],
)
async def test_no_provider_charges_what_they_like(cast: Cast, charge: dict[str, Any], pointer: str) -> None:
    session = await cast.confirmed(timedelta(days=3))
    ends_at = datetime.fromisoformat(session["ends_at"])
    body = {"ends_at": (ends_at + timedelta(minutes=15)).isoformat(), "invoice": {**charge, "due_on": "2199-01-01"}}
    with pytest.raises(Refused) as caught:
        await cast.provider.post(f"/v1/sessions/{session['id']}/extend", body, version=session["version"])
    assert refusal(caught) == (422, "validation")
    assert [error["pointer"] for error in caught.value.problem["errors"]] == [pointer]


@pytest.mark.rule("CRED-7")
async def test_support_voids_an_invoice_with_a_reason(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    ends_at = datetime.fromisoformat(session["ends_at"])
    charge = {"amount_minor": 2500, "currency": "USD", "due_on": ends_at.date().isoformat()}
    body = {"ends_at": (ends_at + timedelta(minutes=15)).isoformat(), "invoice": charge}
    await cast.provider.post(f"/v1/sessions/{session['id']}/extend", body, version=session["version"], wait=15)
    path = f"/v1/members/{cast.member.subject}/invoices"

    async def invoices() -> list[dict[str, Any]]:
        return list((await cast.member.get(path))["items"])

    (invoice,) = await cast.eventually(invoices, lambda seen: len(seen) == 1)
    await cast.support.post(f"{path}/{invoice['id']}/void", {"reason": "The extension was free"})
    (after,) = await invoices()
    assert (after["status"], after["void_reason"]) == ("void", "The extension was free")


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize("amount", [0, -6500, 2**63, 10**40])
async def test_a_signed_web_hook_with_an_absurd_amount_is_refused(cast: Cast, amount: int) -> None:
    bought = await cast.member.post("/v1/purchases", {"quantity": 1})
    checkout = str(bought["checkout_url"]).rpartition("/")[2]
    signed, headers = DevelopmentPayments(DEVELOPMENT_SECRET, "").hook(checkout, "paid", Money(amount, "USD"))
    http = cast.platform.gateway.http
    answers = [await http.post("/v1/webhooks/payments", content=signed, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert (await cast.member.get(f"/v1/purchases/{bought['id']}"))["status"] == "pending"
    await cast.balance(available=4, held=0)
