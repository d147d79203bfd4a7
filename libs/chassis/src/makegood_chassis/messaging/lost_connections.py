"""Sending on a connection that was just lost raises KafkaConnectionError.

aiokafka expects OSError there, as asyncio raises it. For two turns of the event loop, uvloop raises RuntimeError instead. That ends
aiokafka's background tasks (metadata, heartbeats, commits) for good: the consumer then waits for ever, and looks well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_SENDING: Final = ("send", "_send_sasl_token")


def install() -> None:
    """For all connections of this process. Doing it again changes nothing."""
    for name in _SENDING:
        original = getattr(AIOKafkaConnection, name)
        if not hasattr(original, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _with_kafkas_error(original))


def _with_kafkas_error(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def sending(connection: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return send(connection, *arguments, **options)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"the connection was lost: {error}") from error

    return sending
