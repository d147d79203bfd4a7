"""Faults that a test injects into a running platform: locks that stay, statements of a superuser, a process without a processor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from makegood_stack import postgres

from makegood_testkit.platform import Platform


async def in_database(platform: Platform, service: str, *statements: str) -> None:
    """Runs statements in a service's database, as the superuser."""
    connection = await _superuser(platform, service)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def locked(platform: Platform, service: str, table: str, mode: str = "ACCESS EXCLUSIVE") -> AsyncIterator[None]:
    """Holds a lock on a table, as a forgotten transaction does."""
    connection = await _superuser(platform, service)
    try:
        async with connection.transaction():
            await connection.execute("SET idle_in_transaction_session_timeout = 0")
            await connection.execute(f"LOCK TABLE {table} IN {mode} MODE")
            yield
    finally:
        await connection.close()


async def _superuser(platform: Platform, service: str) -> asyncpg.Connection:
    return await asyncpg.connect(postgres.admin_url(platform.stack.ports.of("postgresql"), f"makegood_{service}"))


async def starve(pid: int, *, stopped: float, running: float) -> None:
    """Takes the processor away from a process most of the time, until cancelled. Seconds."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(stopped)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(running)
    finally:
        os.kill(pid, signal.SIGCONT)
