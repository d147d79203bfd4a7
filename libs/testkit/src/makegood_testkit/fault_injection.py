"""Faults that a test injects into a running platform: doors that close, locks that stay, statements of a superuser."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
from makegood_stack import postgres
from makegood_stack.ports import LISTEN

from makegood_testkit.platform import Platform


class Door:
    """Stands before a server, and passes connections on while it is open. `port`: where clients knock."""

    def __init__(self, port: int, behind: int) -> None:
        self.port, self._behind = port, behind
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, LISTEN, self.port)

    async def close(self) -> None:
        """Refuses new connections, and ends those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._passing):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            beyond, onwards = await asyncio.open_connection(LISTEN, self._behind)
            self._passing |= {writer, onwards}
            await asyncio.gather(_pump(reader, onwards), _pump(beyond, writer))
        self._passing.discard(writer)
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


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
