"""The consumer on a real broker: offsets follow the database, rebalances drain, floods stop, servers come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer import fetcher
from aiokafka.protocol.fetch import FetchRequest
from makegood_chassis.database import Database
from makegood_chassis.health import Health
from makegood_chassis.messaging import consumer as consumer_module
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.redrive import list_letters, redrive
from makegood_chassis.messaging.relay import Relay
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_testkit.waiting import eventually

from .messaging_example import POISON, Handlers, session_event
from .messaging_helpers import effects, opened, produce, record_of


@asynccontextmanager
async def running(
    database: Database,
    handlers: Handlers,
    servers: str,
    prefix: str,
    *,
    health: Health | None = None,
    limit: int = 1000,
    batch: int = 50,
    cool_down: float = 60,
) -> AsyncIterator[Consumer]:
    processor = Processor(
        database, handlers.table(), service="availability", guard=DeadLetterLimit(limit, 60), prefix=prefix
    )
    topics = {prefix + kind.topic.name for kind in handlers.table()}
    consumer = Consumer(
        servers, prefix + "availability", topics, processor, health=health, batch=batch, cool_down=cool_down
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        consumer.stop()
        await asyncio.wait_for(task, 20)


async def committed(servers: str, prefix: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(prefix + "availability")
        return sum(max(0, offset.offset) for offset in offsets.values())
    finally:
        await admin.close()


async def handled(database: Database, count: int, seconds: float = 30) -> None:
    async def enough() -> bool:
        return len(await effects(database)) >= count

    await eventually(enough, seconds=seconds, what=f"{count} effects")


def in_order(rows: list[tuple[str, str, int]]) -> dict[str, list[int]]:
    order: dict[str, list[int]] = {}
    for _, key, sequence in rows:
        order.setdefault(key, []).append(sequence)
    return order


async def test_offsets_are_committed_once_the_effects_are(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    handlers = Handlers()
    handlers.failing = ConnectionResetError()
    health = Health()
    await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id())) for _ in range(100)])
    async with running(database, handlers, kafka_servers, topic_prefix, health=health):
        await eventually(lambda: len(handlers.calls) > 3)
        assert "consumer" in health.problems()
        assert await committed(kafka_servers, topic_prefix) == 0
        handlers.failing = None
        await handled(database, 100)
        await eventually(lambda: not health.problems())
    assert await committed(kafka_servers, topic_prefix) == 100
    assert len({row[0] for row in await effects(database)}) == len(await effects(database)) == 100


@pytest.mark.rule("REL-6")
async def test_a_rebalance_in_mid_batch_loses_nothing_and_repeats_no_effect(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    keys = [new_id() for _ in range(12)]
    records = [record_of(session_event(key, version), version) for version in range(1, 41) for key in keys]
    await produce(kafka_servers, topic_prefix, records)
    inside, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Handlers):
        async def effect(self, received: Any, unit: Any) -> None:
            await super().effect(received, unit)
            inside.set()
            await go_on.wait()

    async with opened(database_url) as other, running(database, Slow(), kafka_servers, topic_prefix) as first:
        await eventually(inside.is_set)
        handlers = Handlers()
        async with running(other, handlers, kafka_servers, topic_prefix):
            await eventually(lambda: not first._ours, what="the rebalance")
            go_on.set()
            await handled(database, len(records))
            assert handlers.calls, "the second member has its share"
    assert in_order(await effects(database)) == {key: list(range(1, 41)) for key in keys}


@pytest.mark.rule("REL-6")
async def test_a_batch_that_waits_for_a_server_is_abandoned_at_a_rebalance(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    keys = [new_id() for _ in range(12)]
    await produce(kafka_servers, topic_prefix, [record_of(session_event(key), 1) for key in keys])
    stuck = Handlers()
    stuck.failing = ConnectionResetError()
    async with opened(database_url) as other, running(database, stuck, kafka_servers, topic_prefix):
        await eventually(lambda: len(stuck.calls) > 2)
        async with running(other, Handlers(), kafka_servers, topic_prefix):
            await eventually(lambda: effects(database), what="the second member's share")
            stuck.failing = None
            await handled(database, 12)
    assert in_order(await effects(database)) == {key: [1] for key in keys}


@pytest.mark.rule("REL-7")
async def test_a_flood_stops_the_consumer_and_loses_nothing(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    handlers, health = Handlers(), Health()
    records = [record_of(session_event(new_id(), member=POISON)) for _ in range(60)]
    await produce(kafka_servers, topic_prefix, records)
    async with running(database, handlers, kafka_servers, topic_prefix, health=health, limit=20, cool_down=0.5) as one:
        await eventually(lambda: "stopped" in health.problems().get("consumer", ""), what="the stop")
        assert not health.ready
        assert await committed(kafka_servers, topic_prefix) <= 60 - 40
        handlers.mended = True
        await handled(database, 40)
        await eventually(lambda: one._ours and not health.problems(), what="readiness after the cool-down")
    assert len(await effects(database)) == 40


@pytest.mark.rule("REL-7")
async def test_dead_letters_put_back_twice_have_one_effect_each(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    handlers = Handlers()
    records = [record_of(session_event(new_id(), member=POISON if n % 5 == 0 else "m")) for n in range(50)]
    await produce(kafka_servers, topic_prefix, records)
    relay = Relay(database, BatchProducer(kafka_servers, prefix=topic_prefix), holder="r")
    relaying = asyncio.create_task(relay.run())
    async with running(database, handlers, kafka_servers, topic_prefix):
        await handled(database, 40)

        async def letters() -> list[Any]:
            return [letter async for letter in list_letters(kafka_servers, "availability", prefix=topic_prefix)]

        async def ten() -> bool:
            return len(await letters()) == 10

        await eventually(ten, what="ten dead letters")
        assert {letter.topic for letter in await letters()} == {SESSIONS.name}
        handlers.mended = True
        assert not await redrive(kafka_servers, "availability", prefix=topic_prefix, reason="KeyError")
        one = records[0].id
        assert [letter.event_id for letter in await redrive(
            kafka_servers, "availability", prefix=topic_prefix, ids={one}
        )] == [one]  # fmt: skip
        for _ in range(2):
            assert len(await redrive(kafka_servers, "availability", prefix=topic_prefix, reason="ValueError")) == 10
        await handled(database, 50)
        await eventually(lambda: _all_read(kafka_servers, topic_prefix, 50 + 1 + 20), what="the offsets")
    relay.stop()
    await relaying
    assert sorted(row[0] for row in await effects(database)) == sorted(record.id for record in records)


async def _all_read(servers: str, prefix: str, count: int) -> bool:
    return await committed(servers, prefix) == count


@pytest.mark.slow
@pytest.mark.rule("REL-9")
async def test_an_event_ends_the_long_fetch_of_a_quiet_time(
    database: Database, kafka_servers: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []

    def noted(wait_ms: int, *rest: Any, **named: Any) -> Any:
        waits.append(wait_ms)
        return FetchRequest(wait_ms, *rest, **named)

    monkeypatch.setattr(fetcher, "FetchRequest", noted)
    monkeypatch.setattr(consumer_module, "_QUIET_AFTER", 0.5)
    monkeypatch.setattr(consumer_module, "_QUIETER", 240)
    async with running(database, Handlers(), kafka_servers, topic_prefix):
        await eventually(lambda: 120_000 in waits, what="a fetch that may stay for two minutes")
        await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id()))])
        await handled(database, 1)
    assert 500 in waits[waits.index(120_000) :], "shorter again while events come"


async def test_broker_and_database_go_and_come_back(own_servers: Any) -> None:
    from aiokafka.admin import NewTopic
    from makegood_stack.kafka import make_topics

    from .messaging_example import prepare

    broker, postgres = own_servers.kafka(), own_servers.postgres()
    await prepare(postgres.url)
    await make_topics(broker.url, [NewTopic(SESSIONS.name, 3, 1)])
    keys = [new_id() for _ in range(12)]

    def records(version: int) -> list[Any]:
        return [record_of(session_event(key, version), version) for key in keys]

    async with opened(postgres.url) as database, running(database, Handlers(), broker.url, ""):
        await produce(broker.url, "", records(1))
        await handled(database, 12)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await produce(broker.url, "", records(2))
        await handled(database, 24, 60)
        await asyncio.to_thread(postgres.kill)
        await produce(broker.url, "", records(3))
        await asyncio.to_thread(postgres.start)

        async def all_there() -> bool:
            try:
                return len(await effects(database)) >= 36
            except Exception:
                return False

        await eventually(all_there, seconds=60)
        assert in_order(await effects(database)) == {key: [1, 2, 3] for key in keys}


@pytest.mark.rule("REL-9")
async def test_a_consumer_whose_offsets_nobody_keeps_any_more_ends_with_the_error(
    database: Database, kafka_servers: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would read on and look well, and its group would stay behind for ever."""
    fails = asyncio.Event()

    async def keep(_: Consumer) -> None:
        await fails.wait()
        raise ZeroDivisionError

    monkeypatch.setattr(Consumer, "_keep_offsets", keep)
    await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id()))])

    async def until_it_ends() -> None:
        async with running(database, Handlers(), kafka_servers, topic_prefix) as consumer:
            await eventually(lambda: consumer._ours)
            fails.set()
            await eventually(lambda: not consumer._ours, what="the end of the membership")

    with pytest.raises(ZeroDivisionError):
        await until_it_ends()
