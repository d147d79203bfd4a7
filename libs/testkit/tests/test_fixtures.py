"""The fixtures give real servers: what they promise, done once each."""

from __future__ import annotations

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from makegood_contracts.topics import TOPICS
from makegood_stack.embedded import EmbeddedServers
from makegood_testkit.plugin import DatabaseFactory, TopicMaker
from redis.asyncio import Redis


async def _prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE thing (id int PRIMARY KEY)")
    await connection.close()


async def test_each_database_is_fresh_and_belongs_to_its_login(database_factory: DatabaseFactory) -> None:
    first = await asyncpg.connect(await database_factory("sample", _prepare))
    second = await asyncpg.connect(await database_factory("sample", _prepare))
    try:
        await first.execute("INSERT INTO thing VALUES (1)")
        assert await second.fetchval("SELECT count(*) FROM thing") == 0
        assert await second.fetchval("SELECT current_user::text") == "sample"
        assert await second.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'") == 1
    finally:
        await first.close()
        await second.close()


async def test_a_topic_takes_and_gives(kafka_servers: str, make_topics: TopicMaker) -> None:
    await make_topics(["sample-topic"], partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_servers)
    await producer.start()
    await producer.send_and_wait("sample-topic", b"hello", key=b"k")
    await producer.stop()
    consumer = AIOKafkaConsumer("sample-topic", bootstrap_servers=kafka_servers, auto_offset_reset="earliest")
    await consumer.start()
    record = await consumer.getone()
    await consumer.stop()
    assert record.value == b"hello"


async def test_every_topic_of_the_contracts_exists_under_the_prefix(kafka_servers: str, topic_prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    await admin.start()
    names = set(await admin.list_topics())
    await admin.close()
    assert {topic_prefix + t.name for t in TOPICS} <= names


async def test_redis_answers(redis_url: str) -> None:
    client = Redis.from_url(redis_url)
    assert await client.ping()
    await client.aclose()


@pytest.mark.slow
async def test_own_servers_survive_a_kill(own_servers: EmbeddedServers) -> None:
    server = own_servers.postgres()
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    connection.terminate()
    server.kill()
    with pytest.raises(OSError):
        await asyncpg.connect(server.url, timeout=2)
    server.start()
    again = await asyncpg.connect(server.url)
    assert await again.fetchval("SELECT n FROM kept") == 7
    await again.close()
