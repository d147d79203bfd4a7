"""The relay sends the outbox to Kafka. Each service has one leader, which sends rows in the order of their ids, then
deletes them.

No last id is remembered: whatever is in the table is unsent, so a row that commits late is not lost. The entity is
locked before its event is inserted, so the ids of one key's events rise. Reading in the order of ids therefore keeps
each key's order. What the leader's own process commits is handed over in memory and seldom read (`handed_over`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar

import msgspec
import structlog
from makegood_contracts.envelope import Record
from makegood_contracts.events import EVENT_TYPES

from makegood_chassis import metrics, tracing
from makegood_chassis.database import Database, PublishedRow
from makegood_chassis.ending import end
from makegood_chassis.health import Health
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.batch_producer import TOPIC_TROUBLE, BatchProducer, SendResult
from makegood_chassis.messaging.failures import Stopped, until_it_passes
from makegood_chassis.messaging.handed_over import HandedOver
from makegood_chassis.messaging.lease import Lease
from makegood_chassis.messaging.wake import CHANNEL, OutboxWake
from makegood_chassis.real_time import utc_now
from makegood_chassis.states.publisher import StatePublisher

_FETCH: Final = """
SELECT id, topic, key, headers, payload, created_at FROM outbox
WHERE topic <> ALL($2::text[]) AND id <> ALL($3::bigint[]) ORDER BY id LIMIT $1
"""
_DELETE: Final = """
DELETE FROM outbox WHERE id = ANY($1::bigint[])
AND EXISTS (SELECT FROM leases WHERE name = 'relay' AND holder = $2 AND fence = $3)
"""
_POLL: Final = 0.5
_LARGE: Final = 12
_COALESCE: Final = 0.003
_BLOCKED: Final = 2.0
_SWEEP_AFTER: Final = 0.04
"""Seconds for which sent rows may stay in the table: deleting them can wait until what they led to is under way."""
_FEW: Final = 128
"""So many rows may still be on their way out of the table while the next batch is read past them."""

_SENDING: Final = metrics.SEND_DURATION.labels("send")
_decode_headers = msgspec.json.Decoder(list[tuple[str, str]]).decode
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class Relay:
    """Run `run()` in one task and `wake.run()` in another. `stop()` lets it send what it has and hand over the lease.

    `database` should be a small pool of its own, so that busy handlers never keep the lease from being renewed. `watch`
    is then the database whose commits wake the relay. `linger_seconds`: for how many seconds events wait for later ones, to go
    with them in one request. Use it for a service whose events no person waits for. `states`: what the leader sends besides
    events.
    """

    def __init__(
        self,
        database: Database,
        producer: BatchProducer,
        *,
        holder: str,
        watch: Database | None = None,
        batch: int = 1000,
        linger_seconds: float = 0.0,
        lease_seconds: float = 4.0,
        health: Health | None = None,
        states: StatePublisher | None = None,
    ) -> None:
        self._database = database
        self._watch = watch or database
        self._producer = producer
        self._batch = batch
        self._linger_seconds = linger_seconds
        self._states = states
        self._lease = Lease(
            database,
            "relay",
            holder,
            seconds=lease_seconds,
            question=states.question if states else "false",
            on_yes=states.wake if states else lambda: None,
        )
        self._health = health or Health()
        self._stopping = False
        self._blocked: dict[str, float] = {}
        self._handed_over = HandedOver()
        self._looked = 0.0
        """When the table was last read, by the event loop's clock."""
        self._acked: list[int] = []
        """Rows that the broker has and the table still holds."""
        self._many = asyncio.Event()
        """Set while these are so many that they must go at once."""
        self._sweeping: asyncio.Task[None] | None = None
        self._more = False
        """Whether there was more than was sent in the last turn."""
        self.wake = OutboxWake(database.direct_url, leads_here=lambda: self.leading)

    @property
    def leading(self) -> bool:
        """Whether this process may send now."""
        return self._lease.held

    def stop(self) -> None:
        self._stopping = True
        self.wake.event.set()

    async def run(self) -> None:
        """Waits until the lease is free, then leads. Returns after `stop()`. Waits for servers that are away."""
        self._watch.on_publish.append(self._published)
        try:
            while not self._stopping:
                self.wake.event.clear()
                with suppress(Stopped):
                    if await self._patiently(self._lease.take):
                        await self._lead()
                        continue
                self._health.set_healthy("relay")
                await self._wait(_POLL)
        finally:
            self._watch.on_publish.remove(self._published)
            metrics.RELAY_LEADER.set(0)
            await self._producer.close()

    def _published(self, rows: Sequence[PublishedRow]) -> None:
        if self.leading:
            self._handed_over.add(rows)
        self.wake.published()

    async def _lead(self) -> None:
        metrics.RELAY_LEADER.set(1)
        self._handed_over.begin()
        _log.info("relay became the leader", fence=self._lease.fence)
        helpers = [asyncio.create_task(self._lease.keep())]
        if self._states is not None:
            helpers.append(asyncio.create_task(self._states.lead(self._lease)))
        try:
            while self._lease.held:
                sent = await self._patiently(self._turn)
                if self._stopping and sent < self._batch:
                    break
                if not sent or not (self._more or self.wake.event.is_set()):
                    await self._wait(_POLL)
                    if self._linger_seconds and self.wake.event.is_set() and not self._stopping:
                        await asyncio.sleep(self._linger_seconds)
                elif _LARGE <= sent < self._batch and not self._stopping:
                    # Under load, each request costs the broker. What gathers in the meantime goes with the next one.
                    await asyncio.sleep(_COALESCE)
        finally:
            for helper in helpers:
                helper.cancel()
            metrics.RELAY_LEADER.set(0)
            await self._end_sweeping()
            if self._lease.held:
                with suppress(Exception):
                    async with asyncio.timeout(2):
                        await self._lease.release(CHANNEL)
            self._lease.lost()
            await end(helpers)
            _log.info("relay is no longer the leader", fence=self._lease.fence)

    async def _turn(self) -> int:
        """Sends one batch and has it deleted. Returns how many rows the broker took."""
        if len(self._acked) > _FEW:
            await self._swept()
        if self._sweeping is not None and self._sweeping.done():
            self._sweeping.result()
        self.wake.event.clear()
        rows = await self._next()
        if not rows:
            # Connect to the broker before there is something to send, so that the first event need not wait.
            await self._producer.open()
            self._health.set_healthy("relay")
            return 0
        failpoints.reached("relay.fetched")
        if not self._lease.held:
            return 0
        asked = time.perf_counter()
        outcome = await self._producer.send(rows)
        _SENDING.observe(time.perf_counter() - asked)
        failpoints.reached("relay.sent")
        if len(outcome.sent) < len(rows):
            self._handed_over.look = True
        self._more = self._handed_over.look or bool(self._handed_over)
        if outcome.sent:
            metrics.RELAY_DELAY.observe(max(0.0, (utc_now() - rows[0].created_at).total_seconds()))
            there = set(outcome.sent)
            taken = [row for row in rows if row.id in there]
            self._handed_over.sent(taken)
            tracing.sent(taken, EVENT_TYPES)
            self._acked += outcome.sent
            if len(self._acked) > _FEW:
                self._many.set()
            self._count(outcome)
            if self._sweeping is None or self._sweeping.done():
                self._sweeping = asyncio.create_task(self._sweep())
        self._note_failures(outcome)
        return len(outcome.sent)

    async def _next(self) -> list[PublishedRow]:
        """What is to be sent next. The table is read at least as often as if nothing were handed over."""
        handed_over, now = self._handed_over, asyncio.get_running_loop().time()
        self._blocked = {topic: until for topic, until in self._blocked.items() if until > now}
        if self.wake.heard or self._blocked or self._stopping or now - self._looked >= _POLL:
            self.wake.heard, handed_over.look = False, True
        rows = handed_over.take(self._batch)
        if not handed_over.look:
            return rows
        handed_over.look, self._looked = False, now
        async with self._database.reading() as queries:
            found = await queries.fetch(_FETCH, self._batch, list(self._blocked), self._acked)
        rows = [_published_row(*row) for row in found]
        handed_over.read({row.id for row in rows})
        if len(rows) == self._batch:
            handed_over.look = True
        return rows

    async def _sweep(self) -> None:
        """Deletes what was acknowledged, while later batches are on their way."""
        with suppress(Stopped):
            while self._acked:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SWEEP_AFTER):
                        await self._many.wait()
                self._many.clear()
                await self._patiently(self._delete)

    async def _delete(self) -> None:
        acked = tuple(self._acked)
        async with self._database.reading() as queries:
            done = await queries.execute(_DELETE, acked, self._lease.holder, self._lease.fence)
        failpoints.reached("relay.deleted")
        del self._acked[: len(acked)]
        if done == "DELETE 0":
            # Somebody else leads, or an earlier leader sent the same rows. The lease tells which.
            await self._lease.renew()

    async def _swept(self) -> None:
        if self._sweeping is not None:
            await asyncio.wait({self._sweeping})

    async def _end_sweeping(self) -> None:
        """Ends the deletions. The next leader sends again what a lost leader did not delete; the inboxes notice."""
        self._many.set()
        if self._lease.held:
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._swept()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await self._swept()
        self._sweeping, self._acked = None, []

    def _count(self, outcome: SendResult) -> None:
        metrics.RELAY_BATCH.observe(len(outcome.sent))
        for topic, count in outcome.per_topic.items():
            metrics.PUBLISHED.labels(topic).inc(count)

    def _note_failures(self, outcome: SendResult) -> None:
        if not outcome.failed:
            self._health.set_healthy("relay")
            return
        for error in outcome.failed.values():
            if not isinstance(error, TOPIC_TROUBLE):
                raise error
        until = asyncio.get_running_loop().time() + _BLOCKED
        for topic, error in outcome.failed.items():
            metrics.RELAY_FAILURES.labels(type(error).__name__).inc()
            _log.warning("events of a topic not sent", topic=topic, error=type(error).__name__)
            self._blocked[topic] = until
        self._health.set_unhealthy("relay", f"not sent: {', '.join(sorted(outcome.failed))}")

    async def _patiently(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Tries again while servers are away. Raises Stopped after `stop()`, or if a lease that was held is lost."""
        led = self._lease.held

        def failed(error: BaseException, attempts: int) -> None:
            self._handed_over.look = True
            metrics.RELAY_FAILURES.labels(type(error).__name__).inc()
            self._health.set_unhealthy("relay", f"waits for a server: {type(error).__name__}")
            if attempts == 1:
                _log.warning("relay is retrying", error=type(error).__name__)

        return await until_it_passes(
            operation, given_up=lambda: self._stopping or (led and not self._lease.held), failed=failed, longest=1.0
        )

    async def _wait(self, seconds: float) -> None:
        """Waits until there may be rows, but at most this long."""
        if self._stopping:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.event.wait()


def _published_row(
    row_id: int, topic: str, key: str, headers: str, payload: bytes, created_at: datetime
) -> PublishedRow:
    record = Record(topic, key, _decode_headers(headers), payload)
    sequence = dict(record.headers).get("ce_sequence", "")
    return PublishedRow(row_id, record, int(sequence) if sequence.isdecimal() else None, created_at)
