"""Credits' API as people of each role call it, over the world's database."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from jwt.algorithms import RSAAlgorithm
from makegood_contracts.ids import new_id
from makegood_credits.bootstrap import bootstrap
from makegood_credits.payments.port import PaymentProvider
from makegood_credits.settings import CreditsSettings
from makegood_devtools.client import access_reason

from .credit_world import World

ISSUER = "https://identity.makegood.invalid"
MEMBER = "/v1/members/member-1"


class Api:
    """The service's API as people of each role call it."""

    def __init__(self, client: httpx.AsyncClient, key: rsa.RSAPrivateKey, world: World, app: FastAPI) -> None:
        self.client = client
        self.app = app
        self.key = key
        self.world = world

    async def call(
        self, method: str, path: str, role: str = "support", subject: str = "support-1", **other: Any
    ) -> Any:
        claims = {
            "iss": ISSUER,
            "aud": "makegood",
            "sub": subject,
            "roles": [role],
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
            "jti": "t",
        }
        token = jwt.encode(claims, self.key, "RS256", headers={"kid": "k"})
        headers = {"Authorization": f"Bearer {token}", **access_reason(role), **other.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **other)

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
        """What a web-hook of the payment provider is answered with."""
        return (await self.client.post("/v1/webhooks/payments", content=sent[0], headers=sent[1])).status_code

    async def own(self, path: str) -> Any:
        answer = await self.call("GET", MEMBER + path, "member", "member-1")
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def serving(world: World, tmp_path: Path, payments: PaymentProvider | None = None) -> AsyncIterator[Api]:
    """The API over the world's database, with its own development payments or those given."""
    key = rsa.generate_private_key(65537, 2048)
    jwks = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k", "alg": "RS256", "use": "sig"}
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [jwks]}))
    settings = CreditsSettings(
        environment="development",
        database_url=world.database.url,
        kafka_bootstrap_servers="127.0.0.1:1",
        jwks_url=str(keys),
    )
    service = bootstrap(settings, world.clock)
    service.health.started = True
    service.dependencies = replace(service.dependencies, payments=payments or service.dependencies.payments)
    await service.database.open()
    assert service.app is not None
    app = service.app(service)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://credits") as client:
        yield Api(client, key, world, app)
    await service.database.close()


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")
