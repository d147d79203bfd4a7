"""Payments that come twice, or not at all, through the development payment provider (CRED-6)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform


async def at_the_page(cast: Cast, url: str, choice: str) -> httpx.Response:
    """What a person does on the page of the payment provider: `pay` or `decline`. It tells us by a signed webhook."""
    answer = await cast.platform.gateway.http.post(f"{urlsplit(url).path}/{choice}")
    assert answer.status_code == 200
    return answer


async def purchase(cast: Cast, quantity: int = 1) -> dict[str, Any]:
    return dict((await cast.member.post("/v1/purchases", {"quantity": quantity})).body)


@pytest.mark.rule("CRED-6")
async def test_each_web_hook_is_handled_once_however_often_it_comes(cast: Cast) -> None:
    bought = await purchase(cast, 2)
    await asyncio.gather(*(at_the_page(cast, bought["checkout_url"], "pay") for _ in range(5)))
    await cast.balance(available=6, held=0)
    # One that was declined before it is paid, or after, changes nothing about what was paid.
    await at_the_page(cast, bought["checkout_url"], "decline")
    assert (await cast.member.get(f"/v1/purchases/{bought['id']}"))["status"] == "paid"
    await cast.balance(available=6, held=0)


@pytest.mark.rule("CRED-6")
async def test_a_payment_that_is_declined_brings_nothing(cast: Cast) -> None:
    bought = await purchase(cast)
    await at_the_page(cast, bought["checkout_url"], "decline")
    assert (await cast.member.get(f"/v1/purchases/{bought['id']}"))["status"] == "failed"
    await cast.balance(available=4, held=0)


@pytest.mark.rule("CRED-6", "PLAN-1")
async def test_where_the_plan_sells_none_none_is_bought(platform: Platform) -> None:
    cast = await platform.cast(plan="eap-6", length=45)
    with pytest.raises(Refused) as refusal:
        await purchase(cast)
    assert (refusal.value.status, refusal.value.slug) == (409, "purchase-not-allowed")
