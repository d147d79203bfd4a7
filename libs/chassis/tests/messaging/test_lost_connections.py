"""A connection to a broker that was lost in this moment is an error that passes by itself, on uvloop too (REL-9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewTopic
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import kafka_arguments
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.kafka import make_topics
from makegood_testkit.waiting import eventually


async def _send_after(servers: str, turns: int) -> None:
    """Sends so many turns of the event loop after the connection was lost."""
    host, port = servers.rsplit(":", 1)
    connection = AIOKafkaConnection(host, int(port))
    await connection.connect()
    connection._writer.transport.abort()
    for _ in range(turns):
        await asyncio.sleep(0)
    try:
        answer: Awaitable[object] = connection.send(MetadataRequest([]))
        await answer
    finally:
        connection.close()


@pytest.mark.rule("REL-9")
@pytest.mark.parametrize("turns", range(5))
def test_whoever_sends_on_a_lost_connection_gets_kafkas_error(kafka_servers: str, turns: int) -> None:
    kafka_arguments(kafka_servers)
    with pytest.raises(KafkaConnectionError):
        uvloop.run(_send_after(kafka_servers, turns))


@pytest.mark.slow
@pytest.mark.rule("REL-9")
async def test_a_consumer_can_be_closed_while_its_broker_is_away(
    own_servers: EmbeddedServers, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = own_servers.kafka()
    await make_topics(kafka.url, [NewTopic("one", 1, 1)])
    consumer = AIOKafkaConsumer("one", **kafka_arguments(kafka.url), fetch_max_wait_ms=20_000)
    await consumer.start()
    await consumer.position(TopicPartition("one", 0))  # from now on it fetches messages
    consumer._fetcher._retry_backoff = 60.0
    kafka.kill()

    await eventually(lambda: "Failed fetch messages" in caplog.text, what="a fetch that is tried again in a minute")
    await consumer.stop()
