"""The connections of a process to its database, lent to one user at a time.

asyncpg's own pool makes a task, a proxy and several timers for each loan, which takes as long as a typical query. Here its connections
stay with us while they are in use now and then: a loan takes one off a list and puts it back. What is in doubt when it comes back goes
through the pool, which waits for cancelled queries and rolls back what was left open.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from asyncpg.protocol import protocol

from makegood_chassis.metrics import POOL_TIMEOUTS, POOL_WAIT
from makegood_chassis.process_metrics import POOLS

_json_encode = msgspec.json.Encoder().encode
_json_decode = msgspec.json.Decoder().decode

Lent: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

PATIENCE: Final = 4.0
"""Seconds that a user waits for a connection. A request then gets 503 while its client still waits for it."""
OPENING: Final = 10.0
"""Seconds that opening a connection may take."""
_PREPARED: Final = 100
"""Statements that each connection keeps prepared."""
_SWEEP: Final = 60.0
"""Seconds after which connections that were not needed go back to the pool, which closes them in time."""

_ARRAYS: Final[tuple[type, ...]] = (list, tuple, set, frozenset, type({}.keys()), type({}.values()))
# asyncpg asks of each value in an array whether it is an array itself, with this abstract class. Its answer takes longer than writing
# the value, and is the same for these classes.
protocol.IterableABC = _ARRAYS  # type: ignore[attr-defined]


class DatabaseAway(ConnectionError):
    """The database does not answer, so nobody waits for it. This passes by itself."""


class Connections:
    """At most `most` connections of `pool` at once, which are all of it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], most: int, name: str = "") -> None:
        self._pool = pool
        self.most: int = most
        self.name: str = name
        """What its connections are called in PostgreSQL, and it in metrics."""
        self._held = 0
        self._idle: list[Lent] = []
        self._not_needed = 0
        self._waiting: deque[asyncio.Future[Lent | None]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._returning: set[asyncio.Task[None]] = set()
        self._patience: set[asyncio.Timeout] = set()
        """How long each user waits who has no connection yet."""
        self._opened: set[Lent] = set()
        self._suspended = False
        self._closing = False
        self.answered_at = float("-inf")
        """When a connection last came back in order, by `time.monotonic()`: until then the server has answered."""

    @classmethod
    async def open(
        cls, url: str, most: int, server_settings: Mapping[str, str], *, prepared: bool = True
    ) -> Connections:
        """Raises OSError or asyncpg.PostgresError if the server cannot be reached. Without `prepared`, each statement is
        parsed again with each call."""
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=most,
            init=_prepare,
            reset=_leave_as_it_is,
            timeout=OPENING,
            command_timeout=30,
            max_inactive_connection_lifetime=300,
            server_settings=dict(server_settings),
            statement_cache_size=_PREPARED if prepared else 0,
        )
        connections = cls(pool, most, server_settings.get("application_name", ""))
        POOLS.add(connections)
        return connections

    @property
    def in_use(self) -> int:
        return self._held - len(self._idle)

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def pending(self) -> int:
        """How many wait for a connection."""
        return len(self._waiting)

    def suspend(self) -> None:
        """The server does not answer: whoever waits for it gets an error now, and whoever comes gets one at once.

        A transaction that was being committed may have been. Whoever started it must ask later, or repeat it.
        """
        self._suspended = True
        for patience in self._patience:
            with suppress(RuntimeError):  # it has ended in this moment, and its user does not know yet
                patience.reschedule(asyncio.get_running_loop().time())
        for connection in tuple(self._opened):
            if _is_open(connection):
                connection.terminate()

    def resume(self) -> None:
        """The server answers again."""
        self._suspended = False

    async def close(self) -> None:
        """Waits until all are back, and closes them."""
        self._closing = True
        POOLS.discard(self)
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._idle:
            self._release(self._idle.pop())
        await asyncio.gather(*self._returning)
        await self._pool.close()

    @asynccontextmanager
    async def loan(self) -> AsyncIterator[Lent]:
        """A connection for as long as the block lasts."""
        connection = await self.borrow()
        try:
            yield connection
        finally:
            self.give_back(connection)

    async def borrow(self) -> Lent:
        """A connection, to be given back. Raises TimeoutError if none is free in time, and DatabaseAway if it would be
        useless."""
        if self._suspended:
            raise DatabaseAway("the database does not answer")
        idle = self._idle
        while idle:
            connection = idle.pop()
            if len(idle) < self._not_needed:
                self._not_needed = len(idle)
            if _is_open(connection):
                return connection
            self._release(connection)
        begun = time.perf_counter()
        try:
            return await self._wait()
        except TimeoutError:
            POOL_TIMEOUTS.labels(self.name).inc()
            raise
        finally:
            POOL_WAIT.labels(self.name).observe(time.perf_counter() - begun)

    async def _wait(self) -> Lent:
        """A new connection, or the next one that comes back."""
        async with self._patiently():
            while True:
                if self._held < self.most or self._closing:
                    return await self._open()
                turn: asyncio.Future[Lent | None] = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                try:
                    connection = await turn
                except asyncio.CancelledError:
                    if turn.done() and not turn.cancelled():
                        if (connection := turn.result()) is not None:
                            self.give_back(connection)
                        else:
                            self._wake(None)
                    raise
                if connection is not None:
                    return connection

    @asynccontextmanager
    async def _patiently(self) -> AsyncIterator[None]:
        async with asyncio.timeout(PATIENCE) as patience:
            self._patience.add(patience)
            try:
                yield
            finally:
                self._patience.discard(patience)

    async def _open(self) -> Lent:
        self._held += 1
        try:
            connection = await self._pool.acquire()
        except BaseException:
            self._held -= 1
            self._wake(None)
            raise
        self._opened.add(connection)
        return connection

    def give_back(self, connection: Lent) -> None:
        """The next user gets it; who waits longest, first."""
        if self._closing or not _is_good(connection):
            self._release(connection)
            return
        self.answered_at = time.monotonic()
        if not self._wake(connection):
            self._idle.append(connection)
            if self._sweeping is None:
                self._not_needed = 0
                self._sweeping = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)

    def _wake(self, connection: Lent | None) -> bool:
        """Hands the connection, or the chance to open one, to somebody who waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _release(self, connection: Lent) -> None:
        """Back to the pool, some time soon."""
        self._opened.discard(connection)

        async def release() -> None:
            try:
                await self._pool.release(connection, timeout=PATIENCE)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # the pool has closed it
            finally:
                self._held -= 1
                self._wake(None)

        task = asyncio.get_running_loop().create_task(release())
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    def _sweep(self) -> None:
        """Releases those that lay idle since the last time: as they are taken from the end, they are the first of the list."""
        for connection in self._idle[: self._not_needed]:
            self._release(connection)
        del self._idle[: self._not_needed]
        self._not_needed = len(self._idle)
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP, self._sweep) if self._idle else None


def _is_open(lent: Lent) -> bool:
    connection: Any = lent._con  # type: ignore[attr-defined]  # None once it was lost
    return connection is not None and not connection.is_closed()


def _is_good(lent: Lent) -> bool:
    """Whether the next user can have it as it is: open, outside any transaction, and no query on it that is being cancelled."""
    connection: Any = lent._con  # type: ignore[attr-defined]
    return (
        _is_open(lent)
        and not connection.is_in_transaction()
        and connection._top_xact is None
        and not connection._protocol._is_cancelling()
    )


async def _prepare(connection: asyncpg.Connection[asyncpg.Record] | Lent) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=lambda value: _json_encode(value).decode(), decoder=_json_decode
        )


async def _leave_as_it_is(connection: asyncpg.Connection[asyncpg.Record] | Lent) -> None:
    """Skips the reset of connections, which would be a round trip, because nothing here changes a session outside its
    transaction.
    """
