"""Says in plain words that a server went away while a command was using it, whichever command it was."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator


def told(error: BaseException) -> str | None:
    """What to tell the user, or None if the error is another one. Of a group of errors, one is told."""
    for one in _leaves(error):
        if (server := _server(one)) is not None:
            return (
                f"{server} stopped answering ({type(one).__name__}). See what is running with: makegood status. "
                "Then run the same command again"
            )
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _server(error: BaseException) -> str | None:
    """Which server the error comes from. Only libraries that the command has loaded are asked."""
    kafka, postgres, http = (sys.modules.get(name) for name in ("aiokafka.errors", "asyncpg", "httpx"))
    if kafka is not None and isinstance(error, kafka.KafkaError):
        return "Kafka" if error.retriable else None
    if postgres is not None and isinstance(error, postgres.PostgresError | postgres.InterfaceError):
        from makegood_chassis.messaging.failures import is_transient

        return "PostgreSQL" if is_transient(error) else None
    if http is not None and isinstance(error, http.TransportError):
        return "the gateway or a service"
    return "a server" if isinstance(error, ConnectionError | TimeoutError | socket.gaierror) else None
