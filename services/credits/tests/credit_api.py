"""Credits' API as people of each role call it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
from makegood_contracts.ids import new_id
from makegood_credits.payments.port import PaymentProvider

from .credits_harness import CreditsHarness

MEMBER = "/v1/members/member-1"


class Api:
    """The service's API as people of each role call it."""

    def __init__(self, harness: CreditsHarness) -> None:
        self.harness = harness
        self.app = harness.app
        self.client = harness.client()

    async def call(
        self, method: str, path: str, role: str = "support", subject: str = "support-1", **other: Any
    ) -> Any:
        return await self.harness.client(role, subject).request(method, path, **other)

    async def enrol(self, **body: Any) -> httpx.Response:
        answer: httpx.Response = await self.call(
            "PUT", f"{MEMBER}/enrolment", json={"plan_id": "eap-6", "starts_on": "2026-11-01", **body}
        )
        return answer

    async def adjust(self, body: dict[str, Any], key: str | None = None, **other: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key or new_id(), **other.pop("headers", {})}
        answer: httpx.Response = await self.call("POST", f"{MEMBER}/adjustments", json=body, headers=headers, **other)
        return answer

    async def buy(self, body: dict[str, Any], key: str | None = None, subject: str = "member-1") -> httpx.Response:
        headers = {"Idempotency-Key": key or new_id()}
        answer: httpx.Response = await self.call("POST", "/v1/purchases", "member", subject, json=body, headers=headers)
        return answer

    async def hook(self, sent: tuple[bytes, dict[str, str]]) -> int:
        """What a webhook of the payment provider is answered with."""
        return (await self.client.post("/v1/webhooks/payments", content=sent[0], headers=sent[1])).status_code

    async def own(self, path: str) -> Any:
        answer = await self.call("GET", MEMBER + path, "member", "member-1")
        assert answer.status_code == 200, answer.text
        return answer.json()


def paying(harness: CreditsHarness, payments: PaymentProvider) -> Api:
    """The API with these payments instead of development's."""
    harness.service.dependencies = replace(harness.dependencies, payments=payments)
    return Api(harness)


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")
