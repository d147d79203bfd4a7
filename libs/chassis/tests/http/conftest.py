"""A small service of notes, served by a real uvicorn on a real PostgreSQL, with an identity provider's keys in a file."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
import pytest_asyncio
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA
from makegood_chassis.revocation import SCHEMA as REVOCATIONS
from makegood_chassis.service import Service
from makegood_chassis.settings import ServiceSettings

from . import notes

ISSUER = "https://identity.makegood.invalid"


class Identity:
    """An identity provider: signs tokens, and publishes its keys as a JWKS in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.private: dict[str, Any] = {}
        self.add("first")

    def add(self, kid: str, *, curve: bool = False) -> None:
        """Makes a key and publishes it."""
        self.private[kid] = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
        self.publish()

    def withdraw(self, kid: str) -> None:
        del self.private[kid]
        self.publish()

    def publish(self) -> None:
        keys = [{**self._jwk(key), "kid": kid, "use": "sig"} for kid, key in self.private.items()]
        self.path.write_text(json.dumps({"keys": keys}))

    @staticmethod
    def _jwk(key: Any) -> dict[str, Any]:
        if isinstance(key, rsa.RSAPrivateKey):
            return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "RS256"}
        return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "ES256"}

    def token(
        self,
        subject: Any = "anna",
        *roles: str,
        kid: str = "first",
        key: Any = None,
        headers: Any = None,
        **claims: Any,
    ) -> str:
        """A token that is right, but for the claims given; a claim of None is left out."""
        private = key or self.private[kid]
        algorithm = "RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256"
        content = {
            "iss": ISSUER,
            "aud": "makegood",
            "sub": subject,
            "roles": list(roles or ("member",)),
            "exp": int(time.time()) + 600,
            "jti": "t",
        } | claims
        return jwt.encode(
            {name: value for name, value in content.items() if value is not None},
            private,
            algorithm,
            headers={"kid": kid, **(headers or {})},
        )

    def bearer(self, subject: str = "anna", *roles: str) -> dict[str, str]:
        why = {"X-Access-Reason": "support_request"} if {"support", "ops"} & set(roles) else {}
        return {"Authorization": f"Bearer {self.token(subject, *roles)}", **why}


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity(tmp_path / "jwks.json")


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA + KEYS_SCHEMA + REVOCATIONS + notes.SCHEMA)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def database_url(database_factory: Any) -> str:
    url: str = await database_factory("notes", _tables)
    return url


Make = Callable[..., Service]


def service_of(jwks: Path, database_url: str = "postgresql://nobody@127.0.0.1:1/none", **settings: Any) -> Service:
    """The notes' service, started, with its database still to be opened."""
    chosen = ServiceSettings(
        **{
            "environment": "development",
            "database_url": database_url,
            "kafka_bootstrap_servers": "127.0.0.1:1",
            "jwks_url": str(jwks),
            "database_pool": 8,
            **settings,
        }
    )
    clock = Clock()
    service = Service(
        name="notes",
        settings=chosen,
        clock=clock,
        database=Database(chosen.database_url.get_secret_value(), clock, pool_size=chosen.database_pool),
        signals=None,  # type: ignore[arg-type]
        events={},
        deadlines={},
        migrations=Path(),
        dependencies=None,
    )
    service.health.started = True
    return service


@pytest.fixture
def make_service(identity: Identity) -> Make:
    return partial(service_of, identity.path)


@pytest_asyncio.fixture
async def service(make_service: Make, database_url: str) -> AsyncIterator[Service]:
    made = make_service(database_url)
    await made.database.open()
    yield made
    await made.database.close()


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The app behind a real server on a free port, and a client of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=30) as client:
        yield client
    server.should_exit = True
    await task
    listener.close()


@pytest_asyncio.fixture
async def client(service: Service, identity: Identity) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the notes service; sends Anna's token unless told otherwise."""
    async with serving(notes.app(service)) as made:
        made.headers.update(identity.bearer("anna"))
        yield made
