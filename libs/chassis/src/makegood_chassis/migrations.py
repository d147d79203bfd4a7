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
_FOR_A_TABLE: Final = 5
"""Seconds that a migration waits for a table. Whoever needs the table meanwhile waits behind it."""
_log = structlog.get_logger(__name__)


class TableInUse(Exception):
    """A transaction that lasts long has a table that a migration changes. Nothing was changed."""


async def migrate(url: str, folder: Path, grants: Grants, logins: Logins | None, *, development: bool) -> None:
    """Runs Alembic's `upgrade head` and applies the grants, in one transaction. Waits up to a minute for the database.

    `url` is the owner's; `logins` is None if there are no others. Raises the last error if it cannot be reached,
    NotTheOwner if the tables belong to another login, and TableInUse.
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
        except Exception as error:
            if _waited_in_vain(error):
                raise TableInUse(
                    "a table is in use for longer than a migration may wait, such as by a backup. Nothing was changed; "
                    "run this again when it is over"
                ) from error
            raise
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
        async_creator=lambda: asyncpg.connect(url, server_settings=_SESSION | {"lock_timeout": f"{_FOR_A_TABLE}s"}),
        poolclass=NullPool,
    )


def _waited_in_vain(error: BaseException | None) -> bool:
    """Whether the error, or what it comes from, is that a lock was not to be had in time."""
    while error is not None and not isinstance(error, asyncpg.LockNotAvailableError):
        error = error.__cause__
    return error is not None


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
