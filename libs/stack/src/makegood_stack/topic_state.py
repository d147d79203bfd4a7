"""Reads which topics exist and how many events they have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments

_PATIENCE: Final = 10.0
"""Seconds."""


async def existing_topics(bootstrap: Brokers, names: Iterable[str]) -> list[str]:
    """The names of topics that exist. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**kafka_arguments(bootstrap), request_timeout_ms=5000)
    try:
        await admin.start()
        known = set(await admin.list_topics())
        return [n for n in names if n in known]
    finally:
        await admin.close()


async def group_offsets(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """How far a group has read, where it has read anything. Raises KafkaError.

    Asks again for a while: a broker that has just started does not know yet which one coordinates the group.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            found = await admin.list_consumer_group_offsets(group)
        except KafkaError as error:
            if not error.retriable or time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)
        else:
            return {part: meta.offset for part, meta in found.items() if meta.offset >= 0}


async def partition_ends(bootstrap: Brokers, topic: str) -> dict[int, tuple[int, int]] | None:
    """First and next offset of each partition. None if the broker does not answer or the topic does not exist."""
    # A consumer without a group is assigned all partitions of its topics.
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        topic, **kafka_arguments(bootstrap), group_id=None, request_timeout_ms=5000
    )
    try:
        if not await existing_topics(bootstrap, [topic]):
            return None
        await consumer.start()
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        return {p.partition: (begin[p], end[p]) for p in partitions}
    except (KafkaError, OSError):
        return None
    finally:
        await consumer.stop()
