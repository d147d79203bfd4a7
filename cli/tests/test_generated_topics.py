"""`makegood generate-year` onto a real broker: signed records in order, and nothing where services would act on it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from makegood_chassis.messaging.event_keys import EventKeys, fetch_event_keys
from makegood_chassis.messaging.partitions import partition_hash
from makegood_chassis.messaging.verification import Verifier
from makegood_cli.year.world import year_of
from makegood_contracts.topics import BY_NAME, EVENT_TOPICS, SESSIONS
from makegood_devtools.event_keys import public_keys_file
from makegood_stack.home import Home, find_root

MEMBERS = 4
Places = defaultdict[tuple[str, int], list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]]]
"""Key, value and headers of records, by topic and partition."""


def generate(servers: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "makegood_cli.main", "generate-year", "--start", "2025-01-01", *words]
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": servers, "MAKEGOOD_HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


async def test_topics_have_the_year_signed_and_in_order_and_are_written_once(
    kafka_servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    words = ("--members", str(MEMBERS), "--seed", "7", "--prefix", topic_prefix)
    made = await asyncio.to_thread(generate, kafka_servers, tmp_path, *words)
    assert made.returncode == 0, made.stdout + made.stderr
    wanted: Places = defaultdict(list)
    found: Places = defaultdict(list)
    for record in year_of(7, MEMBERS, date(2025, 1, 1)).records():
        headers = tuple((name, value.encode()) for name, value in record.headers)
        wanted[record.topic, partition_hash(record.key) % _partitions(record.topic)].append(
            (record.key.encode(), record.value, headers)
        )
    keys = fetch_event_keys(str(public_keys_file(Home(find_root(), tmp_path / ".makegood").event_keys)))
    verifier = Verifier(EventKeys.fixed(keys))
    names = [topic_prefix + topic.name for topic in EVENT_TOPICS]
    async with AIOKafkaConsumer(*names, bootstrap_servers=kafka_servers, auto_offset_reset="earliest") as consumer:
        total = sum((await consumer.end_offsets(consumer.assignment())).values())
        assert total == _count(wanted) > 1_000
        while _count(found) < total:
            for partition, records in (await consumer.getmany(timeout_ms=1_000)).items():
                topic = partition.topic.removeprefix(topic_prefix)
                for record in records:
                    assert verifier.check(topic, record.key, record.headers, record.value) is None
                    unsigned = tuple(each for each in record.headers if not each[0].startswith("makegood_"))
                    found[topic, partition.partition].append((record.key, record.value, unsigned))
    assert found == wanted

    again = await asyncio.to_thread(generate, kafka_servers, tmp_path, *words)
    assert again.returncode == 2
    assert "A year is only written to empty topics" in again.stderr


def _count(places: Places) -> int:
    return sum(len(each) for each in places.values())


def _partitions(topic: str) -> int:
    """How many a topic has in tests."""
    return min(3, BY_NAME[topic].partitions)


async def test_it_writes_nothing_where_services_read(kafka_servers: str, topic_prefix: str, tmp_path: Path) -> None:
    place = TopicPartition(topic_prefix + SESSIONS.name, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka_servers, group_id=f"{topic_prefix}booking", enable_auto_commit=False
    ) as consumer:
        consumer.assign([place])
        await consumer.commit({place: 0})
    words = ("--members", "1", "--prefix", topic_prefix)
    refused = await asyncio.to_thread(generate, kafka_servers, tmp_path, *words)
    assert refused.returncode == 2
    assert "services read the topics" in refused.stderr
    assert (await asyncio.to_thread(generate, kafka_servers, tmp_path, "--prefix", "")).returncode == 2
