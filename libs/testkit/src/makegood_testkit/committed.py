"""What the services committed to their outboxes, noted by PostgreSQL itself, and how the topics differ from it (REL-6)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer
from makegood_chassis.kafka_connection import kafka_arguments
from makegood_contracts.topics import EVENT_TOPICS
from makegood_stack.ports import SERVICES

from makegood_testkit.platform import Platform

ALLOWED_DUPLICATES: Final = 0.001

_NOTE: Final = """
CREATE TABLE committed_events (id bigint, topic text, key text, headers text, payload bytea);
CREATE FUNCTION note_committed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO committed_events SELECT id, topic, key, headers, payload FROM rows;
    RETURN NULL;
END $$;
CREATE TRIGGER note_committed AFTER INSERT ON outbox REFERENCING NEW TABLE AS rows
FOR EACH STATEMENT EXECUTE FUNCTION note_committed();
"""
"""The note is part of the transaction whose event it is about, and the relay does not know of it."""

_EARLIER: Final = "SELECT count(*) FROM outbox WHERE id NOT IN (SELECT id FROM committed_events)"


class Published(NamedTuple):
    """An event as it was committed, or as it is on its topic."""

    id: str
    topic: str
    key: str
    payload: bytes


@dataclass
class Comparison:
    """How the topics differ from what was committed."""

    committed: int = 0
    published: int = 0
    duplicates: int = 0
    missing: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    inversions: list[str] = field(default_factory=list)
    """Keys whose events came in another order than they were committed in, repeats apart."""

    def wrong(self, *, allowed_duplicates: float = ALLOWED_DUPLICATES) -> list[str]:
        """What breaks REL-6."""
        kinds = ("missing", "invented", "altered", "inversions")
        found = [f"{kind}: {one}" for kind in kinds for one in getattr(self, kind)]
        if self.duplicates > allowed_duplicates * self.committed:
            found.append(f"{self.duplicates} of {self.committed} events are on their topics twice")
        return found

    def __str__(self) -> str:
        return f"{self.committed} events committed, {self.duplicates} published again"


class CommittedEvents:
    """Notes what is committed from now on."""

    def __init__(self, platform: Platform, before: frozenset[str]) -> None:
        self._platform = platform
        self._before = before

    @classmethod
    async def noting(cls, platform: Platform) -> CommittedEvents:
        """Begins. Returns once everything is published that was committed before."""
        for service in SERVICES:
            connection = await _owner(platform, service)
            try:
                await connection.execute(_NOTE)
                async with asyncio.timeout(60):
                    while await connection.fetchval(_EARLIER):  # noqa: ASYNC110 (nobody tells)
                        await asyncio.sleep(0.1)
            finally:
                await connection.close()
        return cls(platform, frozenset(event.id for event in await _published(platform)))

    async def compare(self) -> Comparison:
        """Compares. The platform must be drained."""
        committed: list[Published] = []
        for service in SERVICES:
            connection = await _owner(self._platform, service)
            try:
                rows = await connection.fetch("SELECT * FROM committed_events ORDER BY id")
            finally:
                await connection.close()
            committed += [event for row in rows if (event := _event(row)) is not None]
        earlier = self._before - {event.id for event in committed}
        return compared(committed, [one for one in await _published(self._platform) if one.id not in earlier])


def compared(committed: Iterable[Published], published: Iterable[Published]) -> Comparison:
    """`committed` is in the order of the outboxes, `published` in that of each partition."""
    wanted = {event.id: event for event in committed}
    found: dict[str, Published] = {}
    outcome = Comparison(committed=len(wanted))
    for event in published:
        outcome.published += 1
        if event.id in found:
            outcome.duplicates += 1
            continue
        found[event.id] = event
        if event.id not in wanted:
            outcome.invented.append(f"{event.topic}, key {event.key}: {event.id}")
        elif wanted[event.id] != event:
            outcome.altered.append(f"{event.topic}, key {event.key}: {event.id}")
    outcome.missing = [f"{one.topic}, key {one.key}: {one.id}" for one in wanted.values() if one.id not in found]
    there = [event for event in wanted.values() if event.id in found]
    by_key, order = _by_key(there), _by_key(event for event in found.values() if event.id in wanted)
    outcome.inversions = [f"{topic}, key {key}" for (topic, key), ids in by_key.items() if order[topic, key] != ids]
    return outcome


def _by_key(events: Iterable[Published]) -> Mapping[tuple[str, str], list[str]]:
    order: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for event in events:
        order[event.topic, event.key].append(event.id)
    return order


_EVENTS: Final = frozenset(topic.name for topic in EVENT_TOPICS)


def _event(row: asyncpg.Record) -> Published | None:
    if row["topic"] not in _EVENTS:  # a state or a dead letter
        return None
    headers = dict(msgspec.json.decode(row["headers"], type=list[tuple[str, str]]))
    return Published(headers["ce_id"], row["topic"], row["key"], row["payload"])


async def _owner(platform: Platform, service: str) -> asyncpg.Connection:
    return await asyncpg.connect(platform.stack.database_url(service, "owner"))


async def _published(platform: Platform) -> list[Published]:
    """Everything on the event topics, in the order of each partition."""
    prefix = platform.topic_prefix
    consumer = AIOKafkaConsumer(
        *(prefix + name for name in _EVENTS), **kafka_arguments(platform.stack.kafka), auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        events: list[Published] = []
        async with asyncio.timeout(60):
            while [part for part, end in ends.items() if await consumer.position(part) < end]:
                for partition, records in (await consumer.getmany(timeout_ms=200, max_records=5000)).items():
                    topic = partition.topic.removeprefix(prefix)
                    events += [
                        Published(dict(one.headers)["ce_id"].decode(), topic, one.key.decode(), one.value)
                        for one in records
                    ]
        return events
    finally:
        await consumer.stop()
