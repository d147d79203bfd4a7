"""Fetch sessions on a real broker: fetches are short, and nothing stays unread when a session changes or is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from aiokafka.structs import TopicPartition
from makegood_chassis.messaging.fetch_sessions import FetchSessions
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_testkit.waiting import eventually

from .messaging_example import session_event
from .messaging_helpers import produce, record_of


class Reader:
    """A consumer in sessions, what it has read, and how many partitions each of its fetches named."""

    def __init__(self, servers: str, prefix: str) -> None:
        self._servers, self._prefix = servers, prefix
        self.topic = prefix + SESSIONS.name
        self.kafka: Any = AIOKafkaConsumer(
            bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
        )
        self.named: list[int] = []
        self.values: list[bytes] = []
        self.spoil = ""
        """What the next fetch gets wrong of its session."""
        client, subscription = self.kafka._client, self.kafka._subscription
        self._sent = client.send
        self.sessions = FetchSessions(self._record, lambda: subscription.subscription.assignment)
        client.send = self.sessions.send

    async def _record(self, node_id: int, request: Any, **options: Any) -> Any:
        if isinstance(request, FetchRequest):
            if self.spoil:
                what, self.spoil = self.spoil, ""
                setattr(request._session, what, getattr(request._session, what) + 7)
            named = request.build(FetchRequest_v11)
            self.named.append(sum(len(partitions) for _, partitions in named.topics))
        return await self._sent(node_id, request, **options)

    async def partitions(self) -> list[TopicPartition]:
        await self.kafka._client.add_topic(self.topic)
        return [TopicPartition(self.topic, number) for number in self.kafka.partitions_for_topic(self.topic)]

    async def read(self) -> None:
        while True:
            found = await self.kafka.getmany(timeout_ms=50)
            self.values += [record.value for records in found.values() for record in records]

    async def sends(self, count: int) -> None:
        """Sends so many events, and waits until they were read."""
        before = len(self.values)
        await produce(self._servers, self._prefix, [record_of(session_event(new_id())) for _ in range(count)])
        await eventually(lambda: len(self.values) == before + count, what=f"{count} events")

    @classmethod
    @asynccontextmanager
    async def running(cls, servers: str, prefix: str) -> AsyncIterator[Reader]:
        await produce(servers, prefix, [record_of(session_event(new_id()))])
        reader = cls(servers, prefix)
        await reader.kafka.start()
        reader.kafka.assign(await reader.partitions())
        reading = asyncio.create_task(reader.read())
        try:
            await eventually(lambda: len(reader.values) == 1, what="the first event")
            # A partition of a new topic may have no leader yet, and is asked for again.
            await eventually(lambda: reader.named[-1] == 0, what="a session that stands")
            yield reader
        finally:
            reading.cancel()
            await reader.kafka.stop()

    async def fetches(self, count: int) -> None:
        already = len(self.named)
        await eventually(lambda: len(self.named) >= already + count, what=f"{count} fetches")


async def test_a_fetch_names_only_what_was_read_since_the_last_one(kafka_servers: str, topic_prefix: str) -> None:
    async with Reader.running(kafka_servers, topic_prefix) as reader:
        assert reader.named[0] == len(reader.kafka.assignment()) > 1
        before = len(reader.named)
        await reader.sends(1)
        await reader.fetches(3)
        assert max(reader.named[before:]) <= 1
        assert reader.named[-1] == 0
        await reader.sends(200)


async def test_a_session_that_the_broker_has_forgotten_is_begun_again(kafka_servers: str, topic_prefix: str) -> None:
    async with Reader.running(kafka_servers, topic_prefix) as reader:
        for spoilt in ("id", "epoch"):
            reader.spoil, before = spoilt, len(reader.named)
            await reader.fetches(4)
            assert reader.named[before:].count(len(reader.kafka.assignment())) == 1
            await reader.sends(20)


async def test_what_was_paused_is_read_once_it_goes_on(kafka_servers: str, topic_prefix: str) -> None:
    async with Reader.running(kafka_servers, topic_prefix) as reader:
        paused, *others = reader.kafka.assignment()
        reader.kafka.pause(paused)
        await reader.fetches(2)
        await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id())) for _ in range(60)])

        async def others_read() -> bool:
            ends = await reader.kafka.end_offsets(others)
            return all([await reader.kafka.position(part) == ends[part] for part in others])

        await eventually(others_read, what="the events of the other partitions")
        await reader.fetches(2)
        assert len(reader.values) < 61
        reader.kafka.resume(paused)
        await eventually(lambda: len(reader.values) == 61, what="the events of the pause")


async def test_a_new_assignment_learns_where_its_partitions_end(kafka_servers: str, topic_prefix: str) -> None:
    async with Reader.running(kafka_servers, topic_prefix) as reader:
        parts = list(reader.kafka.assignment())
        reader.kafka.pause(*parts)
        await eventually(lambda: not reader.kafka._fetcher._in_flight, what="the end of the last fetch")
        reader.kafka.assign(parts)
        await eventually(
            lambda: all(reader.kafka.highwater(part) is not None for part in parts), what="the partitions' ends"
        )


async def test_silence_counts_as_having_looked(kafka_servers: str, topic_prefix: str) -> None:
    async with Reader.running(kafka_servers, topic_prefix) as reader:
        await reader.fetches(2)
        looked = {part: reader.kafka.last_poll_timestamp(part) for part in reader.kafka.assignment()}
        await reader.fetches(3)
        assert all(reader.kafka.last_poll_timestamp(part) > before for part, before in looked.items())


async def test_the_silence_of_a_throttled_answer_says_nothing() -> None:
    partition = TopicPartition("notes", 0)
    assignment = Assignment([partition])
    throttled_ms = [0, 0, 100]

    async def answer(*_: Any) -> FetchResponse_v11:
        return FetchResponse_v11(throttled_ms.pop(0), 0, 1, [])

    sessions = FetchSessions(answer, lambda: assignment)
    looked = []
    while throttled_ms:
        assignment.state_value(partition).timestamp = None
        await sessions.send(0, FetchRequest(500, 1, 1 << 20, 0, [("notes", [(0, 0, 1 << 20)])]))
        looked.append(assignment.state_value(partition).timestamp is not None)
    assert looked == [False, True, False]
