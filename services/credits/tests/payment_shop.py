"""The API with a payment provider, which tests play as well (CRED-6, CRED-7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
import pytest_asyncio
from makegood_contracts.events import InvoiceWish
from makegood_credits.handlers.refunds import give_back
from makegood_plans.plans import Money
from makegood_testkit.databases import as_owner

from .credit_api import MEMBER, Api, paying
from .credits_harness import CreditsHarness, extended, requested, reserved
from .payment_providers import Development, PaymentHarness, stripe_harness

PRICE = Money(6500, "USD")


class Shop:
    """The API with a payment provider, and what that provider sends."""

    def __init__(self, api: Api, provider: PaymentHarness) -> None:
        self.api = api
        self.harness = api.harness
        self.provider = provider

    async def buy(self, quantity: int = 1) -> tuple[str, str]:
        """(purchase, checkout)"""
        answer = await self.api.buy({"quantity": quantity})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], await self.checkout_of("purchase_id", answer.json()["id"])

    async def checkout_of(self, column: str, of: str) -> str:
        async with self.harness.database.reading() as queries:
            found: str = await queries.fetch_value(f"SELECT id::text FROM checkouts WHERE {column} = $1", of)
            return found

    async def tell(self, checkout: str, outcome: Any, amount: Money = PRICE, event_id: str | None = None) -> None:
        assert await self.api.hook(self.provider.hook(checkout, outcome, amount, event_id=event_id)) == 200

    async def status(self, purchase: str) -> str:
        answer = await self.api.call("GET", f"/v1/purchases/{purchase}", "member", "member-1")
        return str(answer.json()["status"])

    async def effects(self) -> list[str]:
        async with self.harness.database.reading() as queries:
            return [row[0] for row in await queries.fetch("SELECT effect FROM payment_events ORDER BY received_at")]

    async def to_refund(self) -> list[int]:
        async with as_owner(self.harness.database.url) as owner:
            rows = await owner.fetch("SELECT amount_minor FROM payments_to_refund ORDER BY owed_at, amount_minor")
        return [row[0] for row in rows]

    async def give_back(self) -> list[str]:
        """Has the provider asked for what is due, as the worker does; returns how each refund stands that was due."""
        async with self.harness.database.reading() as queries:
            await queries.execute("UPDATE refunds SET try_at = '-infinity'")
            due = [row[0] for row in await queries.fetch("SELECT id FROM refunds WHERE state = 'due' ORDER BY owed_at")]
        assert await give_back(self.harness.database, self.provider.provider) == len(due)
        async with self.harness.database.reading() as queries:
            rows = await queries.fetch("SELECT state FROM refunds WHERE id = ANY($1) ORDER BY owed_at", due)
        return [row[0] for row in rows]


@pytest_asyncio.fixture(params=["development", "stripe"])
async def shop(request: pytest.FixtureRequest, harness: CreditsHarness) -> AsyncIterator[Shop]:
    async with stripe_harness() as stripe:
        payments: PaymentHarness = Development() if request.param == "development" else stripe
        api = paying(harness, payments.provider)
        await api.enrol(plan_id="out-of-pocket-4")
        yield Shop(api, payments)


@pytest_asyncio.fixture
async def stripe_shop(harness: CreditsHarness) -> AsyncIterator[Shop]:
    async with stripe_harness() as stripe:
        api = paying(harness, stripe.provider)
        await api.enrol(plan_id="out-of-pocket-4")
        yield Shop(api, stripe)


async def invoiced(shop: Shop, *, due_on: date = date(2026, 11, 30)) -> tuple[str, Any]:
    """(path of an issued charge for an extension, its session)"""
    asked = requested(length=30)
    await shop.harness.handle(asked)
    await shop.harness.handle(reserved(asked))
    await shop.harness.handle(extended(asked, InvoiceWish(amount_minor=1200, currency="EUR", due_on=due_on)))
    (item, *_) = (await shop.api.own("/invoices"))["items"]
    return f"{MEMBER}/invoices/{item['id']}", asked


async def pay(shop: Shop, path: str, subject: str = "member-1", role: str = "member", key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return await shop.api.call("POST", f"{path}/pay", role, subject, headers=headers)
