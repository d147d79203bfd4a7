"""Sends outbox rows with one idempotent producer, in one batch for each partition. Reports which rows the broker
has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from makegood_contracts.topics import EVENT_TOPICS, STATE_TOPICS

from makegood_chassis import real_time
from makegood_chassis.database import PublishedRow
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.partitions import partition_hash
from makegood_chassis.messaging.signatures import SIGNATURE, Signer, leaf

TOPIC_TROUBLE: Final = (
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
"""Errors that concern one topic while the broker is well: the others go on."""

_BATCH_BYTES: Final = 900_000
_SIGNED: Final = frozenset(topic.name for topic in (*EVENT_TOPICS, *STATE_TOPICS))
"""Dead letters are not: each keeps the signature that its event came with."""
_COMPACTED: Final = frozenset(topic.name for topic in STATE_TOPICS)
"""Here a record without a value is a tombstone."""
_log = structlog.get_logger(__name__)


class SendResult:
    """What became of a batch: the ids that the broker has, and an error for each topic with rows that it does not
    have."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.per_topic: dict[str, int] = {}
        self.failed: dict[str, BaseException] = {}


class _Part:
    """The rows of one partition in a batch."""

    __slots__ = ("builder", "full", "ids", "partition", "topic")

    def __init__(self, topic: str, partition: int, builder: Any) -> None:
        self.topic, self.partition, self.builder = topic, partition, builder
        self.ids: list[int] = []
        self.full = False


class BatchProducer:
    """Sends batches of rows. Only one task may use it at a time. With a `signer`, every event carries a signature.

    After any failure, the producer is replaced: once its sequence has a gap, an idempotent producer refuses everything.
    """

    def __init__(
        self,
        servers: Brokers,
        *,
        prefix: str = "",
        client_id: str = "makegood",
        ack_timeout: float = 15.0,
        signer: Signer | None = None,
    ) -> None:
        self._servers = servers
        self._prefix = prefix
        self._client_id = client_id
        self._ack_timeout = ack_timeout
        self._signer = signer
        self._producer: Any = None

    async def open(self) -> Any:
        """The producer, connected. Raises KafkaError if no broker answers."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                **kafka_arguments(self._servers),
                client_id=self._client_id,
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=int(self._ack_timeout * 1000),
                retry_backoff_ms=50,
                metadata_max_age_ms=60_000,
            )
            try:
                async with asyncio.timeout(self._ack_timeout):
                    await producer.start()
            except BaseException:
                await _discard(producer)
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _discard(producer)

    async def send(self, rows: Sequence[PublishedRow]) -> SendResult:
        """Sends rows. Keeps their order within a partition. Returns once all are answered.

        Rows that did not fit, or whose topic failed, are not in `sent`. Neither is anything after them in their
        partition.
        """
        outcome = SendResult()
        producer = await self.open()
        parts = await self._parts(producer, rows, outcome)
        failpoints.reached("relay.sending")
        futures = {}
        try:
            async with asyncio.timeout(self._ack_timeout):
                for part in parts:
                    futures[await producer.send_batch(part.builder, part.topic, partition=part.partition)] = part
            if futures:
                await asyncio.wait(futures, timeout=self._ack_timeout)
        except (KafkaError, TimeoutError, AssertionError) as error:
            unsent = [part for part in parts if part not in futures.values()]
            outcome.failed.update((part.topic.removeprefix(self._prefix), error) for part in unsent)
        for future, part in futures.items():
            failure = future.exception() if future.done() else TimeoutError()
            if failure is None:
                outcome.sent.extend(part.ids)
                topic = part.topic.removeprefix(self._prefix)
                outcome.per_topic[topic] = outcome.per_topic.get(topic, 0) + len(part.ids)
            else:
                outcome.failed[part.topic.removeprefix(self._prefix)] = failure
        if outcome.failed:
            await self.close()
        return outcome

    async def _parts(self, producer: Any, rows: Sequence[PublishedRow], outcome: SendResult) -> list[_Part]:
        now = int(real_time.now() * 1000)
        parts: dict[tuple[str, int], _Part] = {}
        counts: dict[str, int] = {}
        for (row_id, record, *_), headers in zip(rows, self._headers(rows), strict=True):
            name = record.topic
            count = counts.get(name)
            if count is None:
                count = counts[name] = await self._partitions(producer, name, outcome)
            if not count:
                continue
            where = (name, partition_hash(record.key) % count)
            part = parts.get(where)
            if part is None:
                part = parts[where] = _Part(self._prefix + name, where[1], producer.create_batch())
            elif part.full:
                continue
            added = part.builder.append(
                key=record.key.encode(),
                value=record.value or (None if name in _COMPACTED else b""),
                timestamp=now,
                headers=headers,
            )
            if added is None:
                part.full = True
            else:
                part.ids.append(row_id)
        return list(parts.values())

    def _headers(self, rows: Sequence[PublishedRow]) -> list[list[tuple[str, bytes]]]:
        """The rows' headers as the broker takes them, with their signatures."""
        every = [[(name, value.encode()) for name, value in row.record.headers] for row in rows]
        if self._signer is not None:
            events = [
                (leaf(record.topic, record.key.encode(), headers, record.value), headers)
                for (_, record, *_), headers in zip(rows, every, strict=True)
                if record.topic in _SIGNED
            ]
            signatures = self._signer.sign([hashed for hashed, _ in events])
            for (_, headers), signature in zip(events, signatures, strict=True):
                headers.append((SIGNATURE, signature))
        return every

    async def _partitions(self, producer: Any, name: str, outcome: SendResult) -> int:
        """How many partitions the topic has; 0 if the broker does not know it."""
        known = producer.client.cluster.partitions_for_topic(self._prefix + name)
        if not known:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(5):
                    await producer.client.add_topic(self._prefix + name)
            known = producer.client.cluster.partitions_for_topic(self._prefix + name)
        if not known:
            outcome.failed[name] = UnknownTopicOrPartitionError(name)
            return 0
        return len(known)


async def _discard(producer: Any) -> None:
    """Closes a producer that may be wedged: `stop()` alone waits without end for batches that will never be taken."""
    try:
        async with asyncio.timeout(1.0):
            await producer.stop()
            return
    except Exception:
        _log.info("producer abandoned")
    task = producer._sender.sender_task
    if task is not None:
        task.cancel()
    with suppress(Exception):
        async with asyncio.timeout(2.0):
            await producer.client.close()
    producer._closed = True
