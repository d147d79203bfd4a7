"""A small service of notes, served by a real uvicorn on a real PostgreSQL, with an identity provider's keys in a file."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.http.server_config import server_config
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA
from makegood_chassis.revocation import SCHEMA as REVOCATIONS
from makegood_chassis.service import Service
from makegood_chassis.settings import ServiceSettings
from makegood_testkit.identity import Identity

from . import notes


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    """One of the test's own: tests add and withdraw keys."""
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
    server = uvicorn.Server(server_config(app, "127.0.0.1", listener.getsockname()[1]))
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
