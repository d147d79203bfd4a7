"""What aiokafka does wrong when a connection is lost.

- Sending on a connection that was just lost raises KafkaConnectionError. aiokafka expects OSError there, as asyncio raises it. For two
  turns of the event loop, uvloop raises RuntimeError instead. That ends aiokafka's background tasks (metadata, heartbeats, commits) for
  good: the consumer then waits for ever, and looks well.
- Closing a consumer whose fetches fail is no cancellation. aiokafka cancels these fetches and waits for them, which raises
  CancelledError in whoever closes the consumer: that ends a task without a word, and a command with a stack trace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError

from makegood_chassis.ending import end

_SENDING: Final = ("send", "_send_sasl_token")


def install() -> None:
    """For all connections of this process. Doing it again changes nothing."""
    for name in _SENDING:
        original = getattr(AIOKafkaConnection, name)
        if not hasattr(original, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _with_kafkas_error(original))
    if not hasattr(Fetcher.close, "__wrapped__"):
        Fetcher.close = _without_cancellation(Fetcher.close)


def _without_cancellation(close: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    @wraps(close)
    async def closing(fetcher: Any) -> None:
        fetcher._closed = True
        await end([fetcher._fetch_task, *fetcher._pending_tasks])
        fetcher._pending_tasks.clear()
        await close(fetcher)

    return closing


def _with_kafkas_error(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def sending(connection: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return send(connection, *arguments, **options)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"the connection was lost: {error}") from error

    return sending
