"""Reads which topics exist and how many events they have."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments


async def existing_topics(bootstrap: Brokers, names: Iterable[str]) -> list[str]:
    """The names of topics that exist. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**kafka_arguments(bootstrap), request_timeout_ms=5000)
    try:
        await admin.start()
        known = set(await admin.list_topics())
        return [n for n in names if n in known]
    finally:
        await admin.close()


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
