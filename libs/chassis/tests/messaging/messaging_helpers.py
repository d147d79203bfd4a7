"""What the messaging tests share: a database with the chassis' tables and `effects`, topics, records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import Event
from makegood_contracts.ids import new_id

from . import messaging_example as example


def cause() -> Cause:
    return Cause(new_id(), new_id(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def record_of(event: Event, sequence: int = 1, *, event_id: str | None = None) -> Record:
    return encode(event, sequence=sequence, cause=cause(), event_id=event_id)


def polled(records: Iterable[Record], *, start: int = 0) -> list[ConsumerRecord]:
    """The records as a poll of one partition would bring them."""
    return [
        ConsumerRecord(
            topic=record.topic,
            partition=0,
            offset=offset,
            timestamp=int(time.time() * 1000),
            timestamp_type=0,
            key=record.key.encode(),
            value=record.value,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            headers=tuple((name, value.encode()) for name, value in record.headers),
        )
        for offset, record in enumerate(records, start)
    ]


async def produce(servers: str, prefix: str, records: Iterable[Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True)
    await producer.start()
    try:
        sent = [
            await producer.send(
                prefix + record.topic,
                key=record.key.encode(),
                value=record.value,
                headers=[(name, value.encode()) for name, value in record.headers],
            )
            for record in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read_topic(servers: str, topic: str) -> list[ConsumerRecord]:
    """All records of the topic as it is now, in order per partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        client = consumer._client
        while not consumer.partitions_for_topic(topic):
            await client.add_topic(topic)
        parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        records: list[ConsumerRecord] = []
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                records += found
        return records
    finally:
        await consumer.stop()


def ids(records: Iterable[ConsumerRecord]) -> list[str]:
    return [dict(record.headers)["ce_id"].decode() for record in records]


def first_of_each(records: Iterable[ConsumerRecord]) -> dict[str, list[int]]:
    """By key, the sequences in the order in which each came first: what a reader with an inbox sees."""
    seen: set[str] = set()
    order: dict[str, list[int]] = {}
    for record in records:
        headers = dict(record.headers)
        event_id = headers["ce_id"].decode()
        if event_id not in seen:
            seen.add(event_id)
            order.setdefault((record.key or b"").decode(), []).append(int(headers["ce_sequence"]))
    return order


@asynccontextmanager
async def opened(url: str, *, pool: int = 8) -> AsyncIterator[Database]:
    database = Database(url, Clock(), pool_size=pool)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture
async def database_url(database_factory: Any) -> str:
    url: str = await database_factory("example", example.prepare)
    return url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as made:
        yield made


async def effects(database: Database) -> list[tuple[str, str, int]]:
    """(event id, key, sequence), in the order of handling."""
    async with database.reading() as queries:
        rows = await queries.fetch("SELECT event_id, key, sequence FROM effects ORDER BY position")
    return [(row[0], row[1], row[2]) for row in rows]


async def waiting_rows(database: Database) -> int:
    async with database.reading() as queries:
        return int(await queries.fetch_value("SELECT count(*) FROM outbox"))


async def publish(database: Database, event: Event, sequence: int = 1) -> None:
    async with database.transaction(cause()) as unit:
        unit.publish(event, sequence=sequence)
