"""What stands in a topic now."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition


async def partition_ends(bootstrap: str, topic: str) -> dict[int, tuple[int, int]] | None:
    """First and next offset of each partition; None if the broker is away or the topic does not exist."""
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            return None
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        return {p.partition: (begin[p], end[p]) for p in partitions}
    except (KafkaError, OSError):
        return None
    finally:
        await consumer.stop()
