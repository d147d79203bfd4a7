"""Which errors pass by themselves, and how to retry until they have passed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

T = TypeVar("T")

_PASSING: Final[tuple[type[BaseException], ...]] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
    KafkaError,
)


class Stopped(Exception):
    """The work was abandoned because the process is stopping or its partitions were taken away."""


def is_transient(error: BaseException) -> bool:
    """Whether the error comes from a server or the network, and not from the event that is being handled."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError | TypeError) and _about_connection(str(error))
    return isinstance(error, _PASSING)


def _about_connection(text: str) -> bool:
    return any(word in text for word in ("closed", "closing", "released", "in progress", "not open"))


async def until_it_passes(
    operation: Callable[[], Awaitable[T]],
    *,
    given_up: Callable[[], bool],
    failed: Callable[[BaseException, int], None],
    longest: float = 5.0,
) -> T:
    """The operation's result. It is tried again, with back-off, as long as its errors are transient.

    `failed(error, attempts)` is called after each error. Raises Stopped if `given_up()` is true between two attempts.
    `longest` is the longest pause in seconds.
    """
    try:
        return await operation()
    except Exception as error:
        if not is_transient(error):
            raise
        failed(error, 1)

    def note(state: RetryCallState) -> None:
        if state.outcome is not None and (error := state.outcome.exception()) is not None:
            failed(error, state.attempt_number + 1)

    async def pause(seconds: float) -> None:
        await pause_unless(seconds, given_up)

    await pause(0.05)
    retrying = AsyncRetrying(
        wait=wait_random_exponential(multiplier=0.1, max=longest, min=0.05),
        retry=retry_if_exception(is_transient),
        before_sleep=note,
        sleep=pause,
        reraise=True,
    )

    async def again() -> T:
        return await operation()

    return await retrying(again)


async def pause_unless(seconds: float, given_up: Callable[[], bool]) -> None:
    """Sleeps. Raises Stopped within a tenth of a second after `given_up()` becomes true."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        if given_up():
            raise Stopped
        left = end - loop.time()
        if left <= 0:
            return
        await asyncio.sleep(min(left, 0.1))
