"""Putting dead letters back on the topics they came from, once what they failed at is mended (REL-7).

A letter put back has `makegood_redrive` risen by one, which the inbox takes as leave to handle it once more. Letters stay on
the dead-letter topic; putting the same one back twice has one effect.
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
from makegood_contracts.topics import Service, dead_letters

from makegood_chassis import metrics
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.dead_letters import AT, ATTEMPTS, CUT, KEY, OFFSET, PARTITION, REASON, TOPIC, restored

_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it lies on its topic; `topic`, `partition`, `offset` are where it came from."""

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

    @property
    def whole(self) -> bool:
        """False for one that was too long to keep: its place of origin is all there is."""
        return CUT not in {name for name, _ in self.record.headers}


def read_letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        position=record.offset,
        event_id=headers.get("ce_id", ""),
        event_type=headers.get("ce_type", ""),
        key=base64.b64decode(headers[KEY]) if KEY in headers else record.key or b"",
        reason=headers.get(REASON, ""),
        topic=headers.get(TOPIC, ""),
        partition=int(headers.get(PARTITION, "-1")),
        offset=int(headers.get(OFFSET, "-1")),
        at=headers.get(AT, ""),
        attempts=int(headers.get(ATTEMPTS, "0")),
        redrive=int(headers["makegood_redrive"]) if headers.get("makegood_redrive", "").isdigit() else 0,
        record=record,
    )


async def list_letters(servers: Brokers, service: Service, *, prefix: str = "") -> AsyncIterator[DeadLetter]:
    """All dead letters of a service that the topic still has, oldest first. Raises KafkaError where no broker answers."""
    topic = prefix + dead_letters(service).name
    async with _reader(servers) as consumer:
        known = await _partitions(consumer, topic)
        partitions = [TopicPartition(topic, number) for number in sorted(known)]
        consumer.assign(partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                polled = await consumer.getmany(partition, timeout_ms=1000, max_records=500)
                for record in polled.get(partition, []):
                    if record.offset < ends[partition]:
                        yield read_letter(record)


async def redrive(
    servers: Brokers,
    service: Service,
    *,
    prefix: str = "",
    ids: Collection[str] | None = None,
    reason: str | None = None,
    where: Callable[[DeadLetter], bool] = lambda _: True,
) -> list[DeadLetter]:
    """Puts letters back, those with these event ids, of this reason, and that `where` takes. Answers which.

    An event that died several times is put back as it died last. Letters that were cut are left out.
    """
    chosen: dict[tuple[str, int, int] | str, DeadLetter] = {}
    async for letter in list_letters(servers, service, prefix=prefix):
        if not letter.whole or not letter.topic:
            continue
        if (ids is None or letter.event_id in ids) and (reason is None or letter.reason == reason) and where(letter):
            chosen[letter.event_id or (letter.topic, letter.partition, letter.offset)] = letter
    if not chosen:
        return []
    async with _writer(servers) as producer:
        sent = [
            await producer.send(
                prefix + letter.topic,
                key=letter.key,
                value=letter.record.value,
                headers=restored(letter.record.headers),
            )
            for letter in chosen.values()
        ]
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*sent)
    metrics.REDRIVEN.inc(len(chosen))
    return list(chosen.values())


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
