"""The simulator on the session's PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from makegood_simulator.running import Simulator
from makegood_testkit.databases import Databases


@pytest_asyncio.fixture
async def simulator(databases: Databases, postgres_admin: str, tmp_path: Path) -> AsyncIterator[Simulator]:
    """Plays schedules in databases of their own."""
    yield Simulator(databases, postgres_admin, tmp_path)
