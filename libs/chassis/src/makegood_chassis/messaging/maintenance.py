"""What each process does besides its work: reports that it is alive, follows the development clock, prunes, and
measures."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg

from makegood_chassis import metrics, revocation
from makegood_chassis.database import Database
from makegood_chassis.messaging import inbox
from makegood_chassis.messaging.failures import is_transient
from makegood_chassis.pruning import older, prune_all
from makegood_chassis.repeating import repeat

_SEEN: Final = """
INSERT INTO processes (id, role, clock_revision) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET clock_revision = excluded.clock_revision, seen_at = clock_timestamp()
"""
_LEAVE: Final = "DELETE FROM processes WHERE id = $1"
_CLOCK: Final = "SELECT offset_seconds, revision FROM clock"
_MEASURE: Final = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8,
    coalesce(extract(epoch FROM $1 - (SELECT due_at FROM deadlines ORDER BY due_at LIMIT 1)), 0)::float8
FROM (SELECT created_at FROM outbox ORDER BY id LIMIT 100000) AS waiting
"""
PRUNE_KEYS: Final = older("idempotency_keys", "created_at")
_KEYS_KEPT: Final = timedelta(hours=48)
_PRUNE_PROCESSES: Final = older("processes", "seen_at")
_PROCESSES_KEPT: Final = timedelta(hours=1)
_SEEN_EVERY: Final = 2.0
_MEASURE_EVERY: Final = 5.0
_SAMPLE_EVERY: Final = 1.0
_PRUNE_EVERY: Final = 60.0


async def measure(database: Database) -> None:
    """Measures until cancelled. It shares nothing with `Maintenance`: if that fails, metrics must not stay what they were."""
    async with asyncio.TaskGroup() as group:
        group.create_task(repeat(partial(_measure, database), _MEASURE_EVERY))
        group.create_task(_measure_event_loop())


async def _measure(database: Database) -> None:
    async with database.reading() as queries:
        row = await queries.fetch_one(_MEASURE, database.clock.now())
    if row is not None:
        metrics.OUTBOX_ROWS.set(row[0])
        metrics.OUTBOX_AGE.set(max(0.0, row[1]))
        metrics.DEADLINES_OVERDUE.set(max(0.0, row[2]))


async def _measure_event_loop() -> None:
    """Once a second, measures how late a timer comes: something that does not wait keeps everything else waiting."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _SAMPLE_EVERY
        await asyncio.sleep(_SAMPLE_EVERY)
        metrics.LOOP_DELAY.observe(max(0.0, loop.time() - due))


class Maintenance:
    """Call `run()` until cancelled, then `leave()`. Waits for servers that are away. Prunes if it is given a
    `pruner`."""

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
        self._pruner = pruner
        self._retentions = {
            "inbox": (inbox.PRUNE, inbox_retention),
            "idempotency_keys": (PRUNE_KEYS, _KEYS_KEPT),
            "revoked_tokens": (revocation.PRUNE, revocation.KEPT),
            "processes": (_PRUNE_PROCESSES, _PROCESSES_KEPT),
        }
        self._moved = asyncio.Event()

    async def run(self) -> None:
        jobs = [repeat(self.seen, _SEEN_EVERY, wake=self._moved)]
        if self._pruner is not None:
            prune = partial(prune_all, self._pruner, self._retentions)
            jobs.append(repeat(prune, _PRUNE_EVERY, soon=False, spread=True, name="prune"))
        if self._development:
            jobs.append(self._listen())
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)

    async def seen(self) -> None:
        """Follows the clock, then reports which revision of the clock this process has."""
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

    async def _listen(self) -> None:
        """Follows a move of the development clock at once. Without this connection, it takes up to two seconds."""
        while True:
            try:
                connection = await asyncpg.connect(
                    self._database.direct_url, timeout=5, server_settings={"application_name": "makegood-clock"}
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
