"""Fixtures of the booking service's tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from makegood_booking.bootstrap import bootstrap
from makegood_booking.settings import BookingSettings
from makegood_chassis.clock import FixedClock

from .examples import NOW
from .world import World


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
async def world(database_factory: Any, jwks: Path, key: rsa.RSAPrivateKey) -> AsyncIterator[World]:
    settings = BookingSettings(
        environment="development",
        database_url=await database_factory("booking"),
        kafka_bootstrap_servers="127.0.0.1:1",
        jwks_url=str(jwks),
    )
    service = bootstrap(settings, FixedClock(NOW))
    service.health.started = True
    await service.database.open()
    assert service.app is not None
    made = World(service, key, httpx.ASGITransport(app=service.app(service)))
    yield made
    await made.close()
