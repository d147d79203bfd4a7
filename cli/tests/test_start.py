"""A service's process that brings its database up to date at its start, as `makegood up` has it do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import asyncpg
import pytest
from makegood_testkit.plugin import DatabaseFactory


async def _of_a_later_version(url: str) -> None:
    """A database that a newer program has been at: this one must not touch it."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        await connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["all", "migrate"])
async def test_migrations_that_fail_end_the_process_with_the_reason_as_its_last_words(
    database_factory: DatabaseFactory, role: str
) -> None:
    url = await database_factory("later", _of_a_later_version)
    values = {"BOOKING_DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "JWKS_URL": "/nowhere"}
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "makegood_booking", role],
        env={**os.environ, **values, "MAKEGOOD_ENVIRONMENT": "development", "MAKEGOOD_MIGRATE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("the migrations of booking failed: CommandError: ")
    assert "9999" in last
