"""Puts dead letters back on the topics they came from, once the cause of their failure is fixed (REL-7).

A letter that is put back has `makegood_redrive` raised by one. The inbox then lets it be handled once more. Letters
stay on the dead-letter topic. Putting the same one back twice has one effect.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from makegood_contracts.topics import EVENT_TOPICS, ServiceName, dead_letters

from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.dead_letters import (
    AT,
    ATTEMPTS,
    CUT,
    KEY,
    OFFSET,
    PARTITION,
    REASON,
    TOPIC,
    UNTIL,
    restored,
)
from makegood_chassis.messaging.reading import RecordReader

_PATIENCE: Final = 30.0
_MOST_ORIGINALS: Final = 100_000
_EVENT_TOPICS: Final = frozenset(topic.name for topic in EVENT_TOPICS)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it lies on its topic. `topic`, `partition` and `offset` say where it came from."""

    position: int
    event_id: str
    event_type: str
    key: bytes
    reason: str
    topic: str
    partition: int
    offset: int
    at: str
    attempts: int
    redrive: int
    record: ConsumerRecord
    until: int = -1
    """Last offset of the records that one letter stands for (forgeries beyond the first few); -1: it stands for itself."""

    @property
    def whole(self) -> bool:
        """False if only the place of origin was kept, because the record was too long or one of very many."""
        return CUT not in {name for name, _ in self.record.headers}


def read_letter(record: ConsumerRecord) -> DeadLetter:
    """The dead letter in a record. Anyone who reaches Kafka can write dead letters, so nothing in one is trusted."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        position=record.offset,
        event_id=headers.get("ce_id", ""),
        event_type=headers.get("ce_type", ""),
        key=_exact_key(headers[KEY]) if KEY in headers else record.key or b"",
        reason=headers.get(REASON, ""),
        topic=headers.get(TOPIC, ""),
        partition=_number(headers.get(PARTITION)),
        offset=_number(headers.get(OFFSET)),
        at=headers.get(AT, ""),
        attempts=max(0, _number(headers.get(ATTEMPTS))),
        redrive=max(0, _number(headers.get("makegood_redrive"))),
        record=record,
        until=_number(headers.get(UNTIL)),
    )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else -1


def _exact_key(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""


async def list_letters(servers: Brokers, service: ServiceName, *, prefix: str = "") -> AsyncIterator[DeadLetter]:
    """All dead letters of a service that the topic still has, oldest first. Raises KafkaError if no broker answers."""
    topic = prefix + dead_letters(service).name
    async with _reader(servers) as consumer:
        known = await _partitions(consumer, topic)
        partitions = [TopicPartition(topic, number) for number in sorted(known)]
        consumer.assign(partitions)
        records = RecordReader(consumer)
        await records.start()
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                polled = await records.poll(partition, timeout_ms=1000, max_records=500)
                for record in polled.records.get(partition, []):
                    if record.offset < ends[partition]:
                        yield read_letter(record)


async def redrive(
    servers: Brokers,
    service: ServiceName,
    *,
    prefix: str = "",
    ids: Collection[str] | None = None,
    reason: str | None = None,
    where: Callable[[DeadLetter], bool] = lambda _: True,
) -> list[DeadLetter]:
    """Puts back the letters that have one of these event ids and this reason, and that `where` accepts. Returns them.

    If an event died several times, its last dead letter is put back. Letters that were cut are left out. If a reason is
    given, records of which only the places were kept are put back from there, as long as their topics still have them.
    """
    chosen: dict[tuple[str, int, int] | str, DeadLetter] = {}
    async for letter in list_letters(servers, service, prefix=prefix):
        if letter.topic not in _EVENT_TOPICS or not (letter.whole or (letter.until >= 0 and reason is not None)):
            continue
        if (ids is None or letter.event_id in ids) and (reason is None or letter.reason == reason) and where(letter):
            chosen[letter.event_id or (letter.topic, letter.partition, letter.offset)] = letter
    if not chosen:
        return []
    async with _writer(servers) as producer, _reader(servers) as reader:
        sent = []
        for letter in chosen.values():
            records = [letter.record] if letter.whole else await _originals(reader, prefix + letter.topic, letter)
            for record in records:
                sent.append(
                    await producer.send(
                        prefix + letter.topic,
                        key=letter.key if letter.whole else record.key,
                        value=record.value,
                        headers=restored(record.headers),
                    )
                )
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*sent)
    return list(chosen.values())


async def _originals(reader: Any, topic: str, letter: DeadLetter) -> list[ConsumerRecord]:
    """The records that the letter stands for, as far as the topic still has them."""
    place = TopicPartition(topic, letter.partition)
    if letter.partition not in await _partitions(reader, topic):
        return []
    reader.assign([place])
    end = min(letter.until + 1, (await reader.end_offsets([place]))[place])
    reader.seek(place, max(letter.offset, (await reader.beginning_offsets([place]))[place]))
    records = RecordReader(reader)
    await records.start()
    found: list[ConsumerRecord] = []
    while await reader.position(place) < end and len(found) < _MOST_ORIGINALS:
        polled = await records.poll(place, timeout_ms=1000, max_records=500)
        found += [record for record in polled.records.get(place, []) if record.offset < end]
    return found


async def _partitions(consumer: Any, topic: str) -> set[int]:
    async with asyncio.timeout(_PATIENCE):
        while not (known := consumer.partitions_for_topic(topic)):
            await consumer._client.force_metadata_update()
            consumer._client.add_topic(topic)
            await asyncio.sleep(0.05)
    return set(known)


@asynccontextmanager
async def _reader(servers: Brokers) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        **kafka_arguments(servers), enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _writer(servers: Brokers) -> AsyncIterator[Any]:
    producer = AIOKafkaProducer(**kafka_arguments(servers), enable_idempotence=True, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
