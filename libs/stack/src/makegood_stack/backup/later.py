"""What stands on the topics after a cut and is unknown to the restored databases: the later events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.reading import RecordReader
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.envelope import MalformedEvent, Received, decode
from makegood_contracts.topics import EVENT_TOPICS
from makegood_devtools.errors import UserError

from makegood_stack.backup.manifest import Manifest, Offsets
from makegood_stack.topic_state import existing_topics


@dataclass
class LaterEvents:
    """In the order of each partition. `ignored`: records that are no valid events, or that nobody of ours signed."""

    events: list[Received[Any]] = field(default_factory=list)
    ignored: int = 0


class OtherTopics(Exception):
    """The topics end before the cut, so they are not those of the backup."""


async def read(brokers: Brokers, manifest: Manifest, unsent: Collection[str], verifier: Verifier) -> LaterEvents:
    """Reads the events after the cut. `unsent`: the ids in the restored outboxes; those events belong to the cut.

    Raises OtherTopics, and UserError if Kafka does not answer.
    """
    try:
        names = await existing_topics(brokers, [manifest.prefix + topic.name for topic in EVENT_TOPICS])
        consumer = AIOKafkaConsumer(*names, **kafka_arguments(brokers), fetch_max_wait_ms=20, fetch_max_bytes=32 << 20)
        await consumer.start()
        try:
            return await _read(consumer, manifest, frozenset(unsent), verifier)
        finally:
            await consumer.stop()
    except (KafkaError, OSError) as error:
        raise UserError(
            f"Kafka at {brokers} does not answer ({type(error).__name__}). Start it with: makegood up --only kafka"
        ) from error


async def _read(consumer: Any, manifest: Manifest, unsent: frozenset[str], verifier: Verifier) -> LaterEvents:
    parts = list(consumer.assignment())
    now = await consumer.end_offsets(parts)
    begins = await consumer.beginning_offsets(parts)
    cut = {part: _noted(manifest.ends, part, manifest.prefix) for part in parts}
    noted = {(topic, number) for topic, numbers in manifest.ends.items() for number in numbers}
    there = {(part.topic.removeprefix(manifest.prefix), part.partition) for part in parts}
    if noted - there or any(now[part] < cut[part] for part in parts):
        raise OtherTopics
    for part in parts:
        consumer.seek(part, max(cut[part], begins[part]))
    reader = RecordReader(consumer)
    await reader.start()
    found = LaterEvents()
    unread = set(parts)
    while unread := {part for part in unread if await consumer.position(part) < now[part]}:
        polled = await reader.poll(*unread, timeout_ms=200, max_records=5000)
        found.ignored += sum(one.last - one.first + 1 for one in polled.unreadable)
        for part, records in polled.records.items():
            topic = part.topic.removeprefix(manifest.prefix)
            for record in records:
                _take(found, topic, record, unsent, verifier)
    return found


def _take(found: LaterEvents, topic: str, record: Any, unsent: frozenset[str], verifier: Verifier) -> None:
    if verifier.check(topic, record.key, record.headers, record.value) is not None:
        found.ignored += 1
        return
    try:
        received = decode(record.key, record.headers, record.value)
    except MalformedEvent:
        found.ignored += 1
        return
    if received.id not in unsent:
        found.events.append(received)


def _noted(offsets: Offsets, part: TopicPartition, prefix: str) -> int:
    return offsets.get(part.topic.removeprefix(prefix), {}).get(part.partition, 0)
