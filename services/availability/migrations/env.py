"""Alembic's environment: one asynchronous connection, one transaction for all migrations."""

from __future__ import annotations

import asyncio
import os

from alembic import context
from makegood_chassis.migrations import engine_for
from sqlalchemy import Connection


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_migrate(url: str) -> None:
    engine = engine_for(url)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
        await connection.commit()
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    asyncio.run(
        _connect_and_migrate(
            context.config.get_main_option("sqlalchemy.url")
            or os.environ.get("AVAILABILITY_OWNER_DATABASE_URL")
            or os.environ["AVAILABILITY_DATABASE_URL"]
        )
    )
