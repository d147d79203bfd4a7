"""How far topics are read, as consumers on a real broker tell it: quiet topics, two processes, and one that goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from makegood_chassis.database import Database
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.progress import Progress, ReadUntil
from makegood_contracts.ids import new_id
from makegood_testkit.waiting import eventually

from .messaging_example import Handlers, session_event
from .messaging_helpers import effects, produce, record_of


class Told:
    """What all processes told, the last of each partition."""

    def __init__(self) -> None:
        self.read: dict[tuple[str, int], ReadUntil] = {}
        self.by: dict[tuple[str, int], str] = {}

    def reporter(self, name: str, prefix: str) -> Progress:
        async def report(read: Sequence[ReadUntil]) -> None:
            for one in read:
                self.read[one.topic, one.partition] = one
                self.by[one.topic, one.partition] = name

        return Progress(report, prefix)

    def is_whole(self, since: datetime) -> bool:
        """Whether every partition of every topic that was told of is read up to then."""
        topics = {topic: one.partitions for (topic, _), one in self.read.items()}
        return bool(topics) and all(
            (topic, number) in self.read and self.read[topic, number].until >= since
            for topic, partitions in topics.items()
            for number in range(partitions)
        )


@asynccontextmanager
async def reading(
    database: Database, handlers: Handlers, servers: str, prefix: str, progress: Progress
) -> AsyncIterator[None]:
    processor = Processor(
        database, handlers.table(), service="availability", guard=DeadLetterLimit(100, 60), prefix=prefix
    )
    topics = {prefix + kind.topic.name for kind in handlers.table()}
    consumer = Consumer(servers, prefix + "availability", topics, processor, progress=progress)
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        consumer.stop()
        await asyncio.wait_for(task, 20)


async def test_a_topic_on_which_nothing_happens_is_read_up_to_now(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    told = Told()
    async with reading(database, Handlers(), kafka_servers, topic_prefix, told.reporter("a", topic_prefix)):
        begun = datetime.now(UTC)
        await eventually(lambda: told.is_whole(begun), what="news of every partition")
        again = datetime.now(UTC)
        await eventually(lambda: told.is_whole(again), what="news of every partition")


async def test_while_an_event_cannot_be_handled_its_partition_is_not_read(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    told, handlers = Told(), Handlers()
    handlers.failing = ConnectionResetError()
    before = datetime.now(UTC)
    await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id()))])
    async with reading(database, handlers, kafka_servers, topic_prefix, told.reporter("a", topic_prefix)):
        await eventually(lambda: len(handlers.calls) > 3)
        assert not told.is_whole(before)
        handlers.failing = None
        now = datetime.now(UTC)
        await eventually(lambda: told.is_whole(now), what="news of every partition")
        assert len(await effects(database)) == 1


async def test_two_processes_tell_all_partitions_between_them_and_one_alone_once_the_other_went(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    told, handlers = Told(), Handlers()
    async with reading(database, handlers, kafka_servers, topic_prefix, told.reporter("a", topic_prefix)):
        async with reading(database, handlers, kafka_servers, topic_prefix, told.reporter("b", topic_prefix)):
            await eventually(lambda: set(told.by.values()) == {"a", "b"}, what="both to read")
            now = datetime.now(UTC)
            await eventually(lambda: told.is_whole(now), what="news of every partition")
        gone = datetime.now(UTC)
        await eventually(lambda: told.is_whole(gone), what="news of every partition from the one that is left")
        assert set(told.by.values()) == {"a"}
        await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id()))])
        sent = datetime.now(UTC)
        await eventually(lambda: told.is_whole(sent), what="news of what came since")
        assert len(await effects(database)) == 1
