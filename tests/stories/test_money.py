"""Credits that are bought, and charges that are paid, on the development provider's page (CRED-6, CRED-7)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform


async def choose(cast: Cast, checkout_url: str, choice: str) -> str:
    """Opens the page in a browser's way, without a token, and presses a button; returns the page that follows."""
    http = cast.platform.gateway.http
    path = urlsplit(checkout_url).path
    shown = await http.get(path, headers={"Accept": "text/html"})
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'action="{path}/{choice}"' in shown.text
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    pressed = await http.post(f"{path}/{choice}", headers=form, content=b"")
    assert pressed.status_code == 200, pressed.text
    return pressed.text


async def buy(cast: Cast, **body: Any) -> dict[str, Any]:
    return dict((await cast.member.post("/v1/purchases", {"quantity": 1, **body})).body)


@pytest.mark.rule("CRED-6", "BOOK-4")
async def test_a_member_without_credits_buys_one_and_books(cast: Cast) -> None:
    for day in range(3, 7):
        await cast.book(timedelta(days=day))
    await cast.balance(available=0, held=4)
    with pytest.raises(Refused) as refusal:
        await cast.book(timedelta(days=8))
    assert (refusal.value.slug, refusal.value.problem["purchasable"]) == ("no-session-credits", True)
    declined, bought = await buy(cast), await buy(cast)
    assert "Declined." in await choose(cast, declined["checkout_url"], "decline")
    assert "Paid." in await choose(cast, bought["checkout_url"], "pay")
    statuses = {item["id"]: item["status"] for item in (await cast.member.get("/v1/purchases"))["items"]}
    assert statuses == {declined["id"]: "failed", bought["id"]: "paid"}
    await cast.balance(available=1, held=4)
    (entry,) = [each for each in await cast.ledger() if each["kind"] == "purchase"]
    assert (entry["amount"], entry["made_by"]) == (1, cast.member.subject)
    session = await cast.book(timedelta(days=8))
    assert session["credit"]["state"] == "held"


@pytest.mark.rule("CRED-6")
async def test_nobody_pays_by_a_web_hook_of_their_own(cast: Cast) -> None:
    bought = await buy(cast)
    checkout = urlsplit(bought["checkout_url"]).path.rpartition("/")[2]
    hook = {"id": uuid.uuid4().hex, "checkout_id": checkout, "outcome": "paid", "amount_minor": 6500, "currency": "USD"}
    answer = await cast.platform.gateway.http.post("/v1/webhooks/payments", json=hook)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/validation")
    assert (await cast.member.get(f"/v1/purchases/{bought['id']}"))["status"] == "pending"
    await cast.balance(available=4, held=0)


@pytest.mark.rule("CRED-7", "BOOK-7")
async def test_an_overdue_charge_is_paid_and_booking_goes_on(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-copay", length=45)
    session = await cast.confirmed(timedelta(days=3))
    await cast.attended(session)
    path = f"/v1/members/{cast.member.subject}/invoices"
    await platform.advance_to(datetime.fromisoformat(session["ends_at"]) + timedelta(days=16))

    async def charge() -> dict[str, Any]:
        return dict((await cast.member.get(path))["items"][0])

    overdue = await cast.eventually(charge, lambda seen: seen["status"] == "overdue")
    with pytest.raises(Refused) as refusal:
        await cast.book(timedelta(days=4))
    assert refusal.value.slug == "outstanding-charges"
    paying = await cast.member.post(f"{path}/{overdue['id']}/pay")
    assert "Paid." in await choose(cast, paying["checkout_url"], "pay")
    assert (await charge())["status"] == "paid"
    assert (await cast.book(timedelta(days=4)))["status"] == "reserved"
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"{path}/{overdue['id']}/pay")
    assert refusal.value.slug == "invoice-not-payable"
