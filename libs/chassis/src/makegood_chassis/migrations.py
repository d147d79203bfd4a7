"""Role `migrate`: brings the service's database to the newest revision, and gives its logins the listed rights. Several
processes wait for each other.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from makegood_chassis import grants as rights
from makegood_chassis.database_link import SEARCH_PATH
from makegood_chassis.grants import Grants, Logins
from makegood_chassis.messaging.failures import Stopped, until_it_passes

_LOCK: Final = 0x6D676D69
_PATIENCE: Final = 60.0
_SESSION: Final = {"search_path": SEARCH_PATH}
_log = structlog.get_logger(__name__)


async def migrate(url: str, folder: Path, grants: Grants, logins: Logins | None, *, development: bool) -> None:
    """Runs Alembic's `upgrade head` and applies the grants, in one transaction. Waits up to a minute for the database.

    `url` is the owner's; `logins` is None if there are no others. Raises the last error if it cannot be reached, and
    NotTheOwner if the tables belong to another login.
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
    guard = await asyncpg.connect(url, server_settings=_SESSION)
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await rights.require_ownership(guard)
        engine = engine_for(url)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade, folder)
                raw = await connection.get_raw_connection()
                await rights.apply(cast(Any, raw.driver_connection), grants, logins, development=development)
        finally:
            await engine.dispose()
    finally:
        await guard.close()
    _log.info("migrated")


def engine_for(url: str) -> AsyncEngine:
    """An engine of SQLAlchemy for the migrations. asyncpg parses the address itself, because it knows `sslmode` and
    similar parameters.
    """
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, server_settings=_SESSION),
        poolclass=NullPool,
    )


async def _reachable(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    await connection.close()


def _upgrade(connection: Connection, folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", "makegood_chassis:alembic")
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
