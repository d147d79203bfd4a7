"""Reads the topics of a service: polls, processes in the database, then commits the offsets of exactly these records.

Delivery is at least once; the inbox makes it effectively once. Offsets follow the database and never lead it. They may
therefore be committed a moment later, and together for several polls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from makegood_chassis import metrics
from makegood_chassis.health import Health
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.dead_letters import DeadLetterLimitExceeded
from makegood_chassis.messaging.failures import Stopped, is_transient
from makegood_chassis.messaging.fetch_sessions import FetchSessions
from makegood_chassis.messaging.lag import Lag
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.progress import Progress
from makegood_chassis.messaging.reading import Polled, RecordReader

_POLL_MS: Final = 200
_FETCHER_MS: Final = 1000
"""How often aiokafka looks whether it may fetch, besides whenever something changes. Each look goes through all partitions."""
_FETCH_MS: Final = 500
"""How long a fetch may stay with the broker while there is nothing. Events end it at once, so only idle fetches cost by it."""
_REPORTING_FETCH_MS: Final = 200
"""The same for a consumer that reports its progress: what it reports is as old as its last fetch."""
_QUIET_AFTER: Final = 10.0
"""After so many seconds without any record, fetches may stay `_QUIETER` times as long. The price: partitions that a rebalance
brings in such a time wait for the fetch that is on its way."""
_QUIETER: Final = 4
_BUSY: Final = 16
_COALESCE: Final = 0.005
_OFFSETS_EVERY: Final = 0.1
"""Offsets are committed when this many seconds brought nothing new, and …"""
_OFFSETS_AT_LEAST: Final = 0.8
"""… this often while there is always something new: each commit costs the broker as much as a batch of events."""
_DRAIN: Final = 8.0
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two attempts to reach brokers that are away."""
_DAY_MS: Final = 86_400_000
_log = structlog.get_logger(__name__)


class Consumer:
    """Call `run()`, and `stop()` to end it. Waits for brokers that are away. Too many dead letters pause it for
    `cool_down` seconds."""

    def __init__(
        self,
        servers: Brokers,
        group: str,
        topics: Iterable[str],
        processor: Processor,
        *,
        batch: int = 500,
        cool_down: float = 60.0,
        client_id: str = "makegood",
        health: Health | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._servers = servers
        self._group = group
        self._topics = sorted(topics)
        self._processor = processor
        self._batch = batch
        self._cool_down = cool_down
        self._client_id = client_id
        self._health = health or Health()
        self._progress = progress
        self._stopping = asyncio.Event()
        self._ours = False
        self._kafka: Any = None
        self._reader = RecordReader(None)
        self._work: asyncio.Task[None] | None = None
        self._last_record = time.monotonic()
        self._lag = Lag(self._topics, processor.prefix)
        self._offsets: dict[TopicPartition, int] = {}
        self._uncommitted = asyncio.Event()
        """Set while there may be offsets to commit."""
        self._committing = asyncio.Lock()
        processor.given_up = lambda: self._stopping.is_set() or not self._ours
        processor.waiting = self._waits
        processor.partitions = self._partitions

    def stop(self) -> None:
        """Ends after the current poll, commits its offsets, and leaves the group."""
        self._stopping.set()

    async def run(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                await self._member()
                pause = 0.1
            except DeadLetterLimitExceeded:
                _log.error("consumer stopped: too many dead letters", cool_down=self._cool_down)
                metrics.CONSUMER_STOPPED.set(1)
                self._health.set_unhealthy("consumer", "stopped: too many events failed; see the dead letters")
                await self._rest(self._cool_down)
                metrics.CONSUMER_STOPPED.set(0)
            except Exception as error:
                if not is_transient(error):
                    raise
                self._health.set_unhealthy("consumer", f"waits for Kafka: {type(error).__name__}")
                await self._rest(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _member(self) -> None:
        """One membership of the group, from joining to leaving."""
        self._kafka = kafka = AIOKafkaConsumer(
            **kafka_arguments(self._servers),
            group_id=self._group,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._fetch_ms(quiet=False),
            consumer_timeout_ms=_FETCHER_MS,
            fetch_max_bytes=4 << 20,
            max_partition_fetch_bytes=1 << 20,
            # A dead member keeps its partitions for this long. Handlers never block the heartbeat.
            session_timeout_ms=6000,
            heartbeat_interval_ms=1500,
            rebalance_timeout_ms=15_000,
            max_poll_interval_ms=_DAY_MS,
            metadata_max_age_ms=30_000,
            retry_backoff_ms=50,
        )
        FetchSessions.install(kafka)
        self._reader = reader = RecordReader(kafka)
        tasks: list[asyncio.Task[None]] = []
        try:
            kafka.subscribe(self._topics, listener=_Listener(self))
            async with asyncio.timeout(20):
                await kafka.start()
            tasks += [asyncio.create_task(self._keep_offsets()), asyncio.create_task(self._lag.keep_measured(kafka))]
            while not self._stopping.is_set():
                for task in tasks:
                    if task.done():  # none ends by itself: raises what ended it
                        task.result()
                polled = await reader.poll(timeout_ms=_POLL_MS, max_records=self._batch)
                self._fetch_seldom_in_quiet_times(polled)
                if (polled.records or polled.unreadable) and self._ours:
                    await self._process(polled)
                    if _BUSY <= sum(map(len, polled.records.values())) < self._batch:
                        # Under load, each poll costs a transaction. What arrives in the meantime goes with the next one.
                        await self._rest(_COALESCE)
                if self._progress is not None and self._ours and not self._stopping.is_set():
                    await self._tell_progress(self._progress)
            await self._commit()
        finally:
            self._ours = False
            for task in tasks:
                task.cancel()
            self._lag.forget()
            self._offsets.clear()
            with suppress(Exception):
                async with asyncio.timeout(5):
                    await kafka.stop()

    def _fetch_ms(self, *, quiet: bool) -> int:
        return (_FETCH_MS if self._progress is None else _REPORTING_FETCH_MS) * (_QUIETER if quiet else 1)

    def _fetch_seldom_in_quiet_times(self, polled: Polled) -> None:
        now = time.monotonic()
        if polled.records or polled.unreadable:
            self._last_record = now
        # aiokafka offers no way to change this while it runs, but looks here at each fetch. A test would notice a change.
        self._kafka._fetcher._fetch_max_wait_ms = self._fetch_ms(quiet=now - self._last_record > _QUIET_AFTER)

    async def _tell_progress(self, progress: Progress) -> None:
        """Reports progress. If a server is away, this does not wait for it: the next report comes soon."""
        try:
            await progress.tell(self._kafka)
        except Exception as error:
            if not is_transient(error):
                raise
            _log.info("progress not reported yet", error=type(error).__name__)

    async def _process(self, polled: Polled) -> None:
        failpoints.reached("consumer.polled")
        self._work = asyncio.create_task(self._handle(polled))
        try:
            await asyncio.wait({self._work})
        except asyncio.CancelledError:
            self._work.cancel()
            raise
        work, self._work = self._work, None
        if work.cancelled():
            return
        with suppress(Stopped):
            work.result()

    async def _handle(self, polled: Polled) -> None:
        if polled.records:
            await self._processor.process([record for part in polled.records.values() for record in part])
        for partition, part in polled.records.items():
            self._note_handled(partition, part[-1].offset)
        for unreadable in polled.unreadable:
            await self._processor.pass_over(unreadable)
            self._note_handled(unreadable.partition, unreadable.last)
        if self._progress is not None:
            self._progress.handled(polled.records)

    def _note_handled(self, partition: TopicPartition, last: int) -> None:
        self._offsets[partition] = self._lag.handled[partition] = last + 1
        self._uncommitted.set()

    async def _keep_offsets(self) -> None:
        loop = asyncio.get_running_loop()
        committed = loop.time()
        seen: dict[TopicPartition, int] = {}
        while True:
            if not self._offsets:
                self._uncommitted.clear()
                await self._uncommitted.wait()
                committed = loop.time()
            await asyncio.sleep(_OFFSETS_EVERY)
            if self._offsets == seen or loop.time() - committed >= _OFFSETS_AT_LEAST:
                await self._commit()
                committed = loop.time()
            seen = dict(self._offsets)

    async def _commit(self) -> None:
        """Commits what was processed. What cannot be committed now is kept, unless another member has taken it over."""
        async with self._committing:
            offsets = {part: at for part, at in self._offsets.items() if part in self._kafka.assignment()}
            if not offsets:
                return
            failpoints.reached("consumer.before_offsets")
            try:
                await self._kafka.commit(offsets)
                failpoints.reached("consumer.after_offsets")
            except (CommitFailedError, IllegalStateError):
                self._offsets.clear()
                return
            except KafkaError as error:
                _log.info("offsets not committed yet", error=type(error).__name__)
                return
            for part, at in offsets.items():
                if self._offsets.get(part) == at:
                    del self._offsets[part]

    def _partitions(self, topic: str) -> int:
        return len(self._kafka.partitions_for_topic(topic) or ())

    def _waits(self, waiting: bool) -> None:
        """While a poll is tried again, nothing more is fetched. The heartbeat goes on."""
        if self._kafka is None:
            return
        if waiting:
            self._kafka.pause(*self._kafka.assignment())
            self._health.set_unhealthy("consumer", "waits for a server")
        else:
            self._kafka.resume(*(self._kafka.paused() & self._kafka.assignment()))
            if self._ours:
                self._health.set_healthy("consumer")

    async def revoked(self) -> None:
        """Finishes or abandons the poll in hand and commits, before another member may take over."""
        if self._ours:
            metrics.REBALANCES.inc()
        self._ours = False
        if self._work is not None:
            _, unfinished = await asyncio.wait({self._work}, timeout=_DRAIN)
            for work in unfinished:
                work.cancel()
                await asyncio.wait({work})
        await self._commit()
        self._offsets.clear()
        self._reader.forget()
        self._lag.forget()
        if self._progress is not None:
            self._progress.forget()

    def assigned(self) -> None:
        self._ours = True
        self._health.set_healthy("consumer")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        await self._consumer.revoked()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._consumer.assigned()
