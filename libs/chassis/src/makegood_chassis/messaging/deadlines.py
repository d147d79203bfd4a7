"""Deadlines: moments that no request or event triggers.

Any worker takes those that are due. Each is handled once, because one transaction deletes the row and holds the
handler's effects.

Code that changes an entity locks the entity first and its deadline last. This worker does the opposite. To avoid
deadlocks, the worker gives way: its lock time-out is short, and it starts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from makegood_chassis import metrics, observe, tracing
from makegood_chassis.database import Database, Row, UnitOfWork
from makegood_chassis.health import Health
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.failures import Stopped, is_transient, until_it_passes
from makegood_chassis.messaging.handlers import DeadlineHandlers, Due

_TAKE: Final = """
DELETE FROM deadlines WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM deadlines WHERE due_at <= $1 AND kind = ANY($2::text[])
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING kind, entity_id, due_at, set_config('lock_timeout', $4, true)
"""
"""Having taken some, the transaction waits for locks no longer than its patience: told here, it costs no round trip."""
_TAKE_THESE: Final = """
DELETE FROM deadlines WHERE ctid = ANY(ARRAY(
    SELECT d.ctid FROM deadlines AS d
    JOIN unnest($2::text[], $3::text[]) AS these (kind, entity_id) USING (kind, entity_id)
    WHERE d.due_at <= $1 FOR UPDATE OF d SKIP LOCKED
))
RETURNING kind, entity_id, due_at, set_config('lock_timeout', $4, true)
"""
_NEXT: Final = "SELECT due_at FROM deadlines WHERE kind = ANY($1::text[]) ORDER BY due_at LIMIT 1"
_PUT_OFF: Final = """
UPDATE deadlines SET attempts = attempts + 1, due_at = $3::timestamptz + least(300, power(2, attempts)) * interval '1 second'
WHERE kind = $1 AND entity_id = $2
"""
_POLL: Final = 0.5
_BUSY: Final = 0.02
_BREATH: Final = 0.03
"""Seconds between two turns that find something: moments that follow each other closely are handled together, for what a
turn leads to in all services costs by the turn. The first after a rest is handled at once."""

_log = structlog.get_logger(__name__)
_Pair = tuple[str, str]


class _Failed(Exception):
    """Handlers failed on these deadlines, and the transaction was rolled back."""

    def __init__(self, pairs: Sequence[_Pair], error: Exception) -> None:
        self.pairs = pairs
        self.error = error
        super().__init__(type(error).__name__)


class Deadlines:
    """Call `run()`, and `stop()` to end it. Sleeps until the next deadline is due. Looks at least every half second
    for deadlines that other processes set."""

    def __init__(
        self, database: Database, handlers: DeadlineHandlers, *, batch: int = 500, health: Health | None = None
    ) -> None:
        self._database = database
        self._clock = database.clock
        self._handlers = handlers
        self._kinds = sorted(handlers)
        for kind in self._kinds:
            metrics.DEADLINES_HANDLED.labels(kind)
        self._batch = batch
        self._health = health or Health()
        self._stopping = False
        self._wake = asyncio.Event()
        self._planned: datetime | None = None
        self._following: datetime | None = datetime.min.replace(tzinfo=UTC)
        """When the first deadline is due, as far as is known; in the past until it was looked up."""
        self._patience = 0.25

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def wake(self) -> None:
        """Looks at once, because the clock was moved."""
        self._wake.set()

    def _set(self, due_at: datetime) -> None:
        if self._following is None or due_at < self._following:
            self._following = due_at
        if self._planned is None or due_at < self._planned:
            self._wake.set()

    async def run(self) -> None:
        if not self._kinds:
            return
        self._database.on_deadline.append(self._set)
        self._clock.on_move.append(self.wake)
        try:
            with suppress(Stopped):
                while not self._stopping:
                    await self._patiently()
        finally:
            self._database.on_deadline.remove(self._set)
            self._clock.on_move.remove(self.wake)

    async def _patiently(self) -> None:
        def failed(error: BaseException, attempts: int) -> None:
            self._patience = min(0.8, 0.25 * 2**attempts)
            if attempts == 3:
                self._health.set_unhealthy("deadlines", f"waits for a server: {type(error).__name__}")

        await until_it_passes(self._turn, given_up=lambda: self._stopping, failed=failed, longest=1.0)
        self._patience = 0.25
        self._health.set_healthy("deadlines")

    async def _turn(self) -> None:
        """Handles one batch of deadlines if any is due, then waits for the next one."""
        self._wake.clear()
        due = self._following is not None and self._following <= self._clock.now()
        taken = await self._take() if due else None
        if (taken or 0) < self._batch and not self._stopping:
            await self._sleep(taken)

    async def _sleep(self, taken: int | None) -> None:
        """`taken`: how many the turn handled; None if none seemed due."""
        if taken:
            await asyncio.sleep(_BREATH)
        self._following = None
        async with self._database.reading() as queries:
            found = await queries.fetch_value(_NEXT, self._kinds)
        # Another deadline may have been set since the query read the table.
        self._following = min((due for due in (found, self._following) if due), default=None)
        pause = _POLL
        if self._following is not None:
            pause = min(_POLL, (self._following - self._clock.now()).total_seconds())
            if pause <= 0:
                # It is due. If this turn found none, another worker has it.
                pause = _BUSY if taken == 0 else 0
        self._planned = self._clock.now() + timedelta(seconds=pause)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

    async def _take(self) -> int:
        """Handles the first due deadlines. Returns how many there were."""
        try:
            return await self._handle(None)
        except _Failed as failure:
            await self._apart(failure)
            return len(failure.pairs)

    async def _apart(self, failure: _Failed) -> None:
        """Splits a batch that failed until the culprit stands alone. The culprit is put off, and the others go on."""
        parts = [(list(failure.pairs), failure.error)]
        while parts:
            pairs, error = parts.pop()
            if len(pairs) == 1:
                await self._put_off(pairs[0], error)
                continue
            middle = len(pairs) // 2
            for half in (pairs[middle:], pairs[:middle]):
                try:
                    await self._handle(half)
                except _Failed as again:
                    parts.append((list(again.pairs), again.error))

    async def _handle(self, these: Sequence[_Pair] | None) -> int:
        pairs: list[_Pair] = []
        async with tracing.root("deadlines") as cause, self._database.transaction(cause) as unit:
            rows = await self._rows(unit, these)
            failpoints.reached("deadlines.taken")
            by_kind: dict[str, list[Due]] = {}
            for kind, entity_id, due_at, _ in sorted(rows, key=lambda row: row["due_at"]):
                pairs.append((kind, entity_id))
                by_kind.setdefault(kind, []).append(Due(entity_id, due_at))
            try:
                for kind, due in by_kind.items():
                    await self._handlers[kind](due, unit)
                await unit.flush()
            except Exception as error:
                if is_transient(error):
                    raise
                raise _Failed(pairs, error) from error
        for kind, due in by_kind.items():
            metrics.DEADLINES_HANDLED.labels(kind).inc(len(due))
            metrics.DEADLINES_LATENESS.labels(kind).observe(max(0.0, (unit.now - due[0].due_at).total_seconds()))
        return len(pairs)

    async def _rows(self, unit: UnitOfWork, these: Sequence[_Pair] | None) -> list[Row]:
        patience = f"{int(self._patience * 1000)}ms"
        if these is None:
            return await unit.fetch(_TAKE, unit.now, self._kinds, self._batch, patience)
        kinds, entities = [pair[0] for pair in these], [pair[1] for pair in these]
        return await unit.fetch(_TAKE_THESE, unit.now, kinds, entities, patience)

    async def _put_off(self, pair: _Pair, error: Exception) -> None:
        kind, entity_id = pair
        async with self._database.reading() as queries:
            await queries.execute(_PUT_OFF, kind, entity_id, self._clock.now())
        metrics.DEADLINES_FAILED.labels(kind, type(error).__name__).inc()
        _log.error(
            "deadline postponed",
            kind=kind,
            entity_id=entity_id,
            error=type(error).__name__,
            frames=observe.frames(error),
        )
