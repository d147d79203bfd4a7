"""Watches the servers, so that readiness is accurate even while the process is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from makegood_chassis.database import Database
    from makegood_chassis.health import Health
    from makegood_chassis.service import Service

_WATCH: Final = 2.0
"""Seconds between two checks of a server, and for its answer."""
_WATCH_CLOSELY: Final = 0.25
"""Seconds between two checks while a server is away, so that the process is ready again as soon as it can be."""


async def watch_servers(service: Service, *, works: bool) -> None:
    """Checks the database and, in a process that works, Kafka."""
    health = service.health
    while True:
        well = await _look(health, "database", partial(_ask_database, service.database))
        if works:
            well &= await _look(health, "kafka", partial(_ask_kafka, service.settings.kafka_bootstrap_servers))
        await asyncio.sleep(_WATCH if well else _WATCH_CLOSELY)
        health.set_healthy("watch")


async def _look(health: Health, name: str, ask: Callable[[], Awaitable[object]]) -> bool:
    """Asks a server. Returns whether it answers."""
    try:
        async with asyncio.timeout(_WATCH):
            await ask()
    except Exception as error:
        health.set_unhealthy(name, f"does not answer: {type(error).__name__}")
        return False
    health.set_healthy(name)
    return True


async def _ask_database(database: Database) -> None:
    async with database.reading() as queries:
        await queries.fetch_value("SELECT 1")


async def _ask_kafka(servers: str) -> None:
    failure: OSError | None = None
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError as error:
            failure = error
        else:
            writer.close()
            return
    if failure is not None:
        raise failure
