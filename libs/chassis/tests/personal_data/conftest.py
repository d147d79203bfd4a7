"""A database with a table of keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA + KEYS_SCHEMA)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def database(database_factory: Any) -> AsyncIterator[Database]:
    opened = Database(await database_factory("keys", _tables), Clock(), pool_size=8)
    await opened.open()
    yield opened
    await opened.close()
