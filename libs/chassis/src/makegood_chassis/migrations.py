"""Role `migrate`: brings the service's database to the newest revision. Several at once wait for each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from makegood_chassis.messaging.failures import Stopped, until_it_passes

_LOCK: Final = 0x6D676D69
_PATIENCE: Final = 60.0
_log = structlog.get_logger(__name__)


async def migrate(url: str, folder: Path) -> None:
    """Runs Alembic's `upgrade head` in one transaction. Waits up to a minute for the database.

    Raises what the last try raised where it cannot be reached.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + _PATIENCE
    last: list[BaseException] = []
    try:
        await until_it_passes(
            lambda: _reachable(url),
            given_up=lambda: loop.time() > end,
            failed=lambda error, _: last.append(error),
            longest=1.0,
        )
    except Stopped:
        raise last[-1] from None
    guard = await asyncpg.connect(url)
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", _LOCK)
        engine = engine_for(url)
        try:
            async with engine.connect() as connection:
                await connection.run_sync(_upgrade, folder)
                await connection.commit()
        finally:
            await engine.dispose()
    finally:
        await guard.close()
    _log.info("migrated")


def engine_for(url: str) -> AsyncEngine:
    """An engine of SQLAlchemy for the migrations. asyncpg reads the address itself, for it knows `sslmode` and the like."""
    return create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool)


async def _reachable(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    await connection.close()


def _upgrade(connection: Connection, folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
