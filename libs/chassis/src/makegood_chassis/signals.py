"""Wake-ups of waiting requests and streams, in this process and, through Redis, in the others. They may be lost.

Whoever waits also looks for itself now and then, so that without Redis everything still works, slower.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Waiter(Generic[T]):
    """Waits for one key's signal."""

    async def result(self, timeout: float, look: Callable[[], Awaitable[T | None]], *, every: float = 0.5) -> T | None:
        """The value signalled in this process, or what `look()` finds after a signal from another one or `every` seconds.

        None once `timeout` seconds are over. `look` answers None as long as the outcome is open.
        """
        raise NotImplementedError


class Signals:
    """Signals by key. `service` separates the services' keys in a shared Redis."""

    def __init__(self, redis_url: str, service: str) -> None:
        raise NotImplementedError

    async def open(self) -> None:
        """Subscribes; a Redis that is gone is not an error, now or later."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def send(self, values: Mapping[str, Any]) -> None:
        """Wakes who waits for these keys: here with the value, in other processes without. Never blocks, never raises."""
        raise NotImplementedError

    @asynccontextmanager
    async def waiting(self, key: str) -> AsyncIterator[Waiter[Any]]:
        """Registers before the change is made, so that no signal is missed between change and wait."""
        raise NotImplementedError
        yield

    def listen(self, key: str) -> AsyncIterator[Any]:
        """Endless stream of signals for one key (server-sent events); bounded buffer, oldest dropped."""
        raise NotImplementedError
