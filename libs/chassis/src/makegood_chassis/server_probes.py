"""Asks PostgreSQL and Kafka whether they answer: each with a real request on a connection of its own. A server that only
accepts connections, because it is frozen or full, does not answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import asyncpg
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from makegood_chassis import real_time
from makegood_chassis.kafka_connection import KafkaConnection

PATIENCE: Final = 5.0
"""Seconds after which a request that was not answered is given up and its connection closed. While it waits, an answer still
counts, so that a server that was frozen is known to answer as soon as it does."""


_NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"


class DatabaseProbe:
    """Asks a PostgreSQL server what time it is, which this process then follows. It needs no connection of a pool, which may be used up."""

    def __init__(self, url: str, application_name: str) -> None:
        self._url = url
        self._application_name = application_name
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def ask(self) -> None:
        """Returns once the server has answered. Raises what asyncpg raises, OSError or TimeoutError."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self._connection is None or self._connection.is_closed():
                    settings = {"application_name": self._application_name}
                    # Without prepared statements, because a pooler may be in between.
                    self._connection = await asyncpg.connect(
                        self._url, timeout=PATIENCE, server_settings=settings, statement_cache_size=0
                    )
                asked = time.monotonic()
                told = await self._connection.fetchval(_NOW)
                real_time.follow(told, asked, time.monotonic())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class KafkaProbe:
    """Asks all brokers of `KAFKA_BOOTSTRAP_SERVERS`. One that answers is enough."""

    def __init__(self, brokers: KafkaConnection, client_id: str) -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._connections: dict[str, Any] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def ask(self) -> None:
        """Returns once a broker has answered. Raises KafkaError, OSError or TimeoutError of the last one if none does."""
        for server in self._brokers.servers.split(","):
            if server not in self._asking:
                self._asking[server] = asyncio.create_task(self._ask(server.strip()))
        failure: BaseException | None = None
        while self._asking:
            done, _ = await asyncio.wait(self._asking.values(), return_when=asyncio.FIRST_COMPLETED)
            self._asking = {server: task for server, task in self._asking.items() if task not in done}
            failures = [task.exception() for task in done]
            if None in failures:
                return
            failure = failures[-1]
        if failure is not None:
            raise failure

    async def _ask(self, server: str) -> None:
        connection = self._connections.pop(server, None)
        try:
            async with asyncio.timeout(PATIENCE):
                if connection is None or not connection.connected():
                    host, _, port = server.rpartition(":")
                    arguments = self._brokers.arguments()
                    del arguments["bootstrap_servers"]
                    connection = await create_conn(host.strip("[]"), int(port), client_id=self._client_id, **arguments)
                await connection.send(MetadataRequest([]))  # about the brokers, and no topic
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self._connections[server] = connection

    def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        self._asking.clear()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
