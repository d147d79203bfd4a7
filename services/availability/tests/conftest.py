"""The availability service on a real PostgreSQL, with a clock that stands still."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from makegood_availability.bootstrap import bootstrap
from makegood_availability.settings import AvailabilitySettings
from makegood_chassis.clock import FixedClock
from makegood_devtools.client import access_reason

from .desk import NOW, Desk

ISSUER = "https://identity.makegood.invalid"


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def jwks(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identity") / "jwks.json"
    public = {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "test", "use": "sig", "alg": "RS256"}
    path.write_text(json.dumps({"keys": [public]}))
    return path


@pytest_asyncio.fixture
async def desk(database_factory: Any, jwks: Path) -> AsyncIterator[Desk]:
    settings = AvailabilitySettings(
        environment="development",
        database_url=await database_factory("availability"),
        kafka_bootstrap_servers="127.0.0.1:1",
        jwks_url=str(jwks),
    )
    service = bootstrap(settings, FixedClock(NOW))
    service.health.started = True
    await service.database.open()
    yield Desk(service)
    await service.database.close()


Client = Callable[[str, str], httpx.AsyncClient]


@pytest_asyncio.fixture
async def client(desk: Desk, key: rsa.RSAPrivateKey) -> AsyncIterator[Client]:
    """`client("member", "anna")` → an HTTP client of the service with that person's token."""
    assert desk.service.app is not None
    transport = httpx.ASGITransport(app=desk.service.app(desk.service))
    made: list[httpx.AsyncClient] = []

    def make(role: str, subject: str) -> httpx.AsyncClient:
        claims = {
            "iss": ISSUER,
            "aud": "makegood",
            "sub": subject,
            "roles": [role],
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
            "jti": "test",
        }
        token = jwt.encode(claims, key, "RS256", headers={"kid": "test"})
        headers = {"Authorization": f"Bearer {token}", **access_reason(role)}
        made.append(httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()
