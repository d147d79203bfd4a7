"""Credits on a real PostgreSQL, with a clock that stands still until it is moved."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests; pytest imports tests by path alone

if TYPE_CHECKING:
    from credit_world import World
    from makegood_testkit.plugin import DatabaseFactory


@pytest_asyncio.fixture
async def world(database_factory: DatabaseFactory) -> AsyncIterator[World]:
    """A fresh database of credits and what the tests do with it."""
    from credit_world import World

    world = World(await database_factory("credits"))
    await world.database.open()
    yield world
    await world.database.close()
