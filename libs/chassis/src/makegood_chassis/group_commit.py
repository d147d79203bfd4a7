"""One transaction, or one statement, for many concurrent commands: while one batch commits, the next one collects. An idle service
does not delay a command."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import asyncpg
from makegood_contracts.envelope import Cause

from makegood_chassis import metrics
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.failures import is_transient

C = TypeVar("C")
R = TypeVar("R")


class Grouped(Generic[C, R]):
    """Collects commands while a batch runs. `most` commands make a batch, `at_once` batches run together. `linger` is
    awaited before each batch, so that a caller that expects more commands can let them join it.

    If the database cannot be reached, all callers of the batch get that error at once. Then it is unknown whether the
    commit succeeded, and only the caller's idempotency key can tell. After any other error, each command is tried again by
    itself, so that one cannot spoil the others.
    """

    def __init__(
        self,
        *,
        most: int = 128,
        at_once: int = 2,
        linger: Callable[[], Awaitable[None]] | None = None,
        name: str = "commands",
    ) -> None:
        self._most = most
        self._free = at_once
        self._linger = linger
        self._waiting: deque[tuple[C, asyncio.Future[R]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._size = metrics.GROUP_COMMIT_SIZE.labels(name)

    async def _run(self, commands: Sequence[C]) -> Sequence[R | Exception]:
        """Commits the commands. Returns a result for each, in order; one that is an exception is raised to its caller alone."""
        raise NotImplementedError

    async def submit(self, command: C) -> R:
        """The command's result, once committed. A caller that is cancelled does not cancel the batch."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, result))
        if self._free:
            self._start()
        # A result that is no longer awaited is dropped by the future itself.
        return await result

    def _start(self) -> None:
        self._free -= 1
        task = asyncio.create_task(self._work())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _work(self) -> None:
        """Commits batches until none waits."""
        try:
            while self._waiting:
                if self._linger is not None:
                    await self._linger()
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if batch:  # otherwise another task took all of them while this one lingered
                    await self._settle(batch)
        finally:
            self._free += 1

    async def _settle(self, batch: Sequence[tuple[C, asyncio.Future[R]]]) -> None:
        self._size.observe(len(batch))
        try:
            await self._commit(batch)
        except Exception as error:
            rolled_back = not is_transient(error) or isinstance(error, asyncpg.TransactionRollbackError)
            if not rolled_back or len(batch) == 1:
                for _, result in batch:
                    _fail(result, error)
                return
            for one in batch:
                await self._settle([one])
        except BaseException:
            for _, result in batch:
                result.cancel()
            raise

    async def _commit(self, batch: Sequence[tuple[C, asyncio.Future[R]]]) -> None:
        results = await self._run([command for command, _ in batch])
        for (_, waiter), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                _fail(waiter, result)
            elif not waiter.done():
                waiter.set_result(result)


class GroupCommit(Grouped[C, R]):
    """`apply(commands, unit)` answers one result a command, in order, within one transaction. `options`: those of `Grouped`."""

    def __init__(
        self,
        database: Database,
        apply: Callable[[Sequence[C], UnitOfWork], Awaitable[Sequence[R | Exception]]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._database = database
        self._apply = apply

    async def _run(self, commands: Sequence[C]) -> Sequence[R | Exception]:
        async with self._database.transaction(Cause.begin()) as unit:
            results = await self._apply(commands, unit)
            if len(results) != len(commands):
                raise RuntimeError(f"{len(commands)} commands, {len(results)} results")
            return results


class GroupWrite(Grouped[C, None]):
    """`statement(commands)` answers one SQL statement and its values for all of them, which needs no transaction around it.
    `options`: those of `Grouped`."""

    def __init__(
        self, database: Database, statement: Callable[[Sequence[C]], tuple[str, Sequence[Any]]], **options: Any
    ) -> None:
        super().__init__(**options)
        self._database = database
        self._statement = statement

    async def _run(self, commands: Sequence[C]) -> Sequence[None]:
        sql, values = self._statement(commands)
        async with self._database.reading() as queries:
            await queries.execute(sql, *values)
        failpoints.reached("statement.committed")
        return [None] * len(commands)


def _fail(waiter: asyncio.Future[R], error: Exception) -> None:
    if not waiter.done():
        waiter.set_exception(error)
