"""Credits on a real PostgreSQL, with a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

from .credit_api import Api, serving
from .credit_world import World
from .payment_shop import shop, stripe_shop  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from pathlib import Path

    from makegood_testkit.plugin import DatabaseFactory


@pytest_asyncio.fixture
async def world(database_factory: DatabaseFactory) -> AsyncIterator[World]:
    """A fresh database of credits and what the tests do with it."""
    world = World(await database_factory("credits"))
    await world.database.open()
    yield world
    await world.database.close()


@pytest_asyncio.fixture
async def api(world: World, tmp_path: Path) -> AsyncIterator[Api]:
    """The service's API over the world's database."""
    async with serving(world, tmp_path) as made:
        yield made
