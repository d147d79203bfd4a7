"""The log in memory: topics, partitions, offsets and groups, as the chassis' producer and consumer use Kafka's.

What it does not have: several members of a group, and requests that overlap. What it has and Kafka does not: losses on demand.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Literal

from aiokafka.errors import KafkaConnectionError, RequestTimedOutError
from aiokafka.structs import ConsumerRecord, TopicPartition
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_contracts.topics import TOPICS

MOST_PARTITIONS = 3
SendFault = Literal["lost-ack", "not-taken"]
"""`lost-ack`: the record is in the log, and the producer hears of a time-out. `not-taken`: it hears of one, and it is not."""


class MemoryLog:
    """All topics. `appended` is called with each record."""

    def __init__(self) -> None:
        self.topics: dict[str, list[list[ConsumerRecord]]] = {
            topic.name: [[] for _ in range(min(topic.partitions, MOST_PARTITIONS))] for topic in TOPICS
        }
        self.committed: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self.cut_off: set[str] = set()
        """Services that cannot reach the log."""
        self.faults: dict[str, tuple[SendFault, random.Random]] = {}
        """What goes wrong with a service's next sending, for about half of its partitions."""
        self.appended: list[Callable[[ConsumerRecord], None]] = []

    def append(self, topic: str, partition: int, key: bytes, value: bytes, headers: Any, timestamp: int) -> None:
        part = self.topics[topic][partition]
        record = ConsumerRecord(
            topic, partition, len(part), timestamp, 0, key, value, None, len(key), len(value or b""), tuple(headers)
        )
        part.append(record)
        for told in self.appended:
            told(record)

    def reach(self, service: str) -> None:
        """Raises KafkaConnectionError if the service is cut off."""
        if service in self.cut_off:
            raise KafkaConnectionError(f"{service} is cut off")


class MemoryBatchProducer(BatchProducer):
    """The chassis' producer, over the log in memory."""

    def __init__(self, log: MemoryLog, service: str) -> None:
        super().__init__("", client_id=service)
        self._log = log
        self._service = service

    async def open(self) -> Any:
        self._log.reach(self._service)
        if self._producer is None:
            self._producer = _Producer(self._log, self._service)
        return self._producer


class _Batch:
    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes, Any, int]] = []

    def append(self, *, key: bytes, value: bytes, timestamp: int, headers: Any) -> bool:
        self.records.append((key, value, headers, timestamp))
        return True


class _Producer:
    """What `BatchProducer` uses of AIOKafkaProducer."""

    def __init__(self, log: MemoryLog, service: str) -> None:
        self._log = log
        self._service = service
        cluster = SimpleNamespace(partitions_for_topic=lambda topic: set(range(len(log.topics[topic]))))
        self.client = SimpleNamespace(cluster=cluster)

    def create_batch(self) -> _Batch:
        return _Batch()

    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        self._log.reach(self._service)
        fault, chance = self._log.faults.get(self._service, (None, random.Random(0)))
        struck = fault if fault is not None and chance.random() < 0.6 else None
        if struck != "not-taken":
            for key, value, headers, timestamp in batch.records:
                self._log.append(topic, partition, key, value, headers, timestamp)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if struck is None:
            answer.set_result(None)
        else:
            answer.set_exception(RequestTimedOutError())
        return answer

    async def stop(self) -> None:
        pass


class MemoryConsumer:
    """What the chassis' consumer uses of AIOKafkaConsumer: the only member of the service's group."""

    def __init__(self, log: MemoryLog, group: str, topics: Iterable[str]) -> None:
        self._log = log
        self._group = group
        self._assigned = {TopicPartition(topic, number) for topic in topics for number in range(len(log.topics[topic]))}
        self.positions = {part: log.committed[group].get(part, 0) for part in sorted(self._assigned)}
        self.chance = random.Random(0)
        self.everything = True
        """Whether a poll brings all there is, or a part of it."""

    def behind(self) -> int:
        """How many records it has not fetched yet."""
        return sum(len(self._log.topics[part.topic][part.partition]) - at for part, at in self.positions.items())

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        if self._group in self._log.cut_off:
            return {}
        waiting = [
            part for part, at in self.positions.items() if at < len(self._log.topics[part.topic][part.partition])
        ]
        if not self.everything and waiting:
            waiting = self.chance.sample(waiting, self.chance.randint(1, len(waiting)))
        polled: dict[TopicPartition, list[ConsumerRecord]] = {}
        for part in waiting:
            if max_records <= 0:
                break
            at = self.positions[part]
            most = max_records if self.everything else self.chance.randint(1, max_records)
            polled[part] = self._log.topics[part.topic][part.partition][at : at + most]
            self.positions[part] = at + len(polled[part])
            max_records -= len(polled[part])
        return polled

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._log.reach(self._group)
        self._log.committed[self._group].update(offsets)

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(len(self._log.topics[topic])))

    def pause(self, *partitions: TopicPartition) -> None: ...

    def resume(self, *partitions: TopicPartition) -> None: ...

    def paused(self) -> set[TopicPartition]:
        return set()
