"""What each process does beside its work: says that it is there, follows the development clock, prunes, and measures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg
import structlog

from makegood_chassis import metrics, revocation
from makegood_chassis.database import Database
from makegood_chassis.messaging import inbox
from makegood_chassis.messaging.failures import is_transient

_SEEN: Final = """
INSERT INTO processes (id, role, clock_revision) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET clock_revision = excluded.clock_revision, seen_at = clock_timestamp()
"""
_FORGET: Final = "DELETE FROM processes WHERE seen_at < clock_timestamp() - interval '1 hour'"
_LEAVE: Final = "DELETE FROM processes WHERE id = $1"
_CLOCK: Final = "SELECT offset_seconds, revision FROM clock"
_OUTBOX: Final = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
FROM (SELECT created_at FROM outbox ORDER BY id LIMIT 100000) AS waiting
"""
_PRUNE_KEYS: Final = """
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys WHERE created_at < clock_timestamp() - $1::interval LIMIT $2
))
"""
KEYS_KEPT: Final = timedelta(hours=48)
_SEEN_EVERY: Final = 1.0
_MEASURE_EVERY: Final = 5.0
_PRUNE_EVERY: Final = 60.0
_log = structlog.get_logger(__name__)


async def prune_keys(database: Database, older_than: timedelta = KEYS_KEPT, *, at_once: int = 5000) -> int:
    """Forgets idempotency keys that are older, in small steps. How many went."""
    gone = 0
    while True:
        async with database.reading() as queries:
            step = int((await queries.execute(_PRUNE_KEYS, older_than, at_once)).rpartition(" ")[2])
        gone += step
        if step < at_once:
            return gone


class Maintenance:
    """`run()` until cancelled, then `leave()`. Servers that are away are waited for. Prunes if it is given a `pruner`."""

    def __init__(
        self,
        database: Database,
        *,
        process: str,
        role: str,
        development: bool,
        inbox_retention: timedelta,
        pruner: Database | None = None,
    ) -> None:
        self._database = database
        self._process = process
        self._role = role
        self._development = development
        self._retention = inbox_retention
        self._pruner = pruner
        self._moved = asyncio.Event()

    async def run(self) -> None:
        jobs = [self._every(_SEEN_EVERY, self.seen, wake=self._moved), self._every(_MEASURE_EVERY, self._measure)]
        if self._pruner is not None:
            jobs.append(self._every(_PRUNE_EVERY, partial(self._prune, self._pruner), soon=False))
        if self._development:
            jobs.append(self._listen())
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)

    async def seen(self) -> None:
        """Follows the clock first and tells then which of its revisions this process has."""
        async with self._database.reading() as queries:
            row = await queries.fetch_one(_CLOCK) if self._development else None
            revision = 0
            if row is not None:
                self._database.clock.set_offset(timedelta(seconds=row["offset_seconds"]))
                revision = row["revision"]
            await queries.execute(_SEEN, self._process, self._role, revision)

    async def leave(self) -> None:
        async with self._database.reading() as queries:
            await queries.execute(_LEAVE, self._process)

    async def _every(
        self,
        seconds: float,
        job: Callable[[], Awaitable[None]],
        *,
        wake: asyncio.Event | None = None,
        soon: bool = True,
    ) -> None:
        wake = wake or asyncio.Event()
        if not soon:
            await asyncio.sleep(seconds * random.random())
        while True:
            wake.clear()
            try:
                await job()
            except Exception as error:
                if not is_transient(error):
                    raise
            try:
                async with asyncio.timeout(seconds):
                    await wake.wait()
            except TimeoutError:
                pass

    async def _measure(self) -> None:
        async with self._database.reading() as queries:
            row = await queries.fetch_one(_OUTBOX)
        if row is not None:
            metrics.OUTBOX_DEPTH.set(row[0])
            metrics.OUTBOX_AGE.set(max(0.0, row[1]))
        pool = self._database.pool
        metrics.DB_POOL_IN_USE.set(pool.get_size() - pool.get_idle_size())

    async def _prune(self, pruner: Database) -> None:
        gone = await inbox.prune(pruner, self._retention)
        keys = await prune_keys(pruner)
        await revocation.prune(pruner)
        async with pruner.reading() as queries:
            await queries.execute(_FORGET)
        if gone or keys:
            _log.info("pruned", inbox=gone, idempotency_keys=keys)

    async def _listen(self) -> None:
        """A move of the development clock is followed at once; without this connection, within a second."""
        while True:
            try:
                connection = await asyncpg.connect(
                    self._database.url, timeout=5, server_settings={"application_name": "makegood-clock"}
                )
                try:
                    closed = asyncio.Event()
                    connection.add_termination_listener(lambda _, closed=closed: closed.set())
                    await connection.add_listener("clock", lambda *_: self._moved.set())
                    self._moved.set()
                    await closed.wait()
                finally:
                    connection.terminate()
            except Exception as error:
                if not is_transient(error):
                    raise
            await asyncio.sleep(1.0)
