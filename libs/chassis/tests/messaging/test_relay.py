"""The relay: nothing lost, order per key, whoever leads and whatever is killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
from makegood_chassis.database import Database
from makegood_chassis.messaging.batch_producer import BatchProducer, SendResult
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.messaging.wake import OutboxWake
from makegood_contracts.envelope import Record
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_testkit.waiting import eventually

from .messaging_example import session_event
from .messaging_helpers import cause, first_of_each, ids, opened, publish, read_topic, record_of, waiting_rows


@asynccontextmanager
async def running(
    database: Database,
    servers: str,
    prefix: str,
    *,
    holder: str = "one",
    producer: BatchProducer | None = None,
    lease: float = 1.0,
) -> AsyncIterator[Relay]:
    relay = Relay(
        database,
        producer or BatchProducer(servers, prefix=prefix, ack_timeout=5),
        holder=holder,
        lease_seconds=lease,
        batch=200,
    )
    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(relay.wake.run())]
    try:
        yield relay
    finally:
        relay.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(tasks[0]), 10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def write_changes(database: Database, keys: dict[str, int], changes: int) -> None:
    """Changes of random entities; the entity is locked before its event is inserted, and commits come out of order."""
    for _ in range(changes):
        key = random.choice(list(keys))
        async with database.transaction(cause()) as unit:
            version = await unit.fetch_value(
                "UPDATE entities SET version = version + 1 WHERE id = $1 RETURNING version", key
            )
            unit.publish(session_event(key, version), sequence=version)
            await unit.flush()
            await asyncio.sleep(random.random() * 0.004)
        keys[key] = max(keys[key], version)


async def entities(database: Database, count: int) -> dict[str, int]:
    keys = {new_id(): 0 for _ in range(count)}
    async with database.reading() as queries:
        await queries.execute("CREATE TABLE entities (id text PRIMARY KEY, version int NOT NULL DEFAULT 0)")
        await queries.execute("INSERT INTO entities (id) SELECT unnest($1::text[])", list(keys))
    return keys


async def drained(database: Database, seconds: float = 30) -> None:
    async def empty() -> bool:
        return await waiting_rows(database) == 0

    await eventually(empty, seconds=seconds, what="an empty outbox")


@pytest.mark.rule("REL-6")
async def test_order_per_key_holds_under_concurrent_writers(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    keys = await entities(database, 6)
    async with running(database, kafka_servers, topic_prefix):
        await asyncio.gather(*(write_changes(database, keys, 40) for _ in range(6)))
        await drained(database)
    records = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    assert len(records) == 240, "nothing missing, nothing twice"
    assert first_of_each(records) == {key: list(range(1, last + 1)) for key, last in keys.items()}


@pytest.mark.rule("REL-6")
async def test_order_per_key_holds_over_changes_of_leader(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    """Two processes' relays; each leader in turn stops, the other goes on."""
    keys = await entities(database, 6)
    writing = asyncio.gather(*(write_changes(database, keys, 60) for _ in range(4)))
    leaders: list[str] = []
    async with opened(database_url) as other:
        while not writing.done():
            for one in (database, other):
                holder = f"leader-{len(leaders)}"
                async with running(one, kafka_servers, topic_prefix, holder=holder) as relay:
                    await eventually(partial(_leads, relay), what="leadership")
                    leaders.append(holder)
                    if not writing.done():
                        await asyncio.wait({writing}, timeout=0.2)
        await writing
        async with running(other, kafka_servers, topic_prefix, holder="last"):
            await drained(database)
    assert len(leaders) >= 2
    records = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    assert first_of_each(records) == {key: list(range(1, last + 1)) for key, last in keys.items()}
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT fence FROM leases") == len(leaders) + 1


async def test_a_relay_that_does_not_lead_rests_between_looks_at_the_lease(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    async with opened(database_url) as other, running(database, kafka_servers, topic_prefix) as leader:
        await eventually(partial(_leads, leader), what="leadership")
        async with running(other, kafka_servers, topic_prefix, holder="second") as second:
            second.wake.event.set()
            await eventually(lambda: not second.wake.event.is_set(), what="rest")
            assert leader.leading
            assert not second.leading


def _leads(relay: Relay) -> bool:
    return relay.leading


class Frozen(BatchProducer):
    """A process that is stopped just as it is about to send, as a virtual machine may be, and goes on much later."""

    def __init__(self, servers: str, prefix: str) -> None:
        super().__init__(servers, prefix=prefix)
        self.holds = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.batches = 0

    async def send(self, rows: Any) -> SendResult:
        self.batches += 1
        self.holds.set()
        await self.goes_on.wait()
        return await super().send(rows)


@pytest.mark.rule("REL-6")
async def test_a_leader_that_wakes_up_too_late_inverts_nothing_and_sends_no_further_batch(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    key = new_id()
    await publish(database, session_event(key, 1), 1)
    zombie = Frozen(kafka_servers, topic_prefix)
    async with opened(database_url) as other, running(database, kafka_servers, topic_prefix, producer=zombie) as first:
        await eventually(zombie.holds.is_set)
        keep, first._lease.renew = first._lease.renew, never_answers  # type: ignore[method-assign]
        async with running(other, kafka_servers, topic_prefix, holder="two") as second:
            await eventually(lambda: second.leading, what="the second leader")
            await publish(other, session_event(key, 2), 2)
            await drained(other)
            await publish(other, session_event(key, 3), 3)
            first._lease.renew = keep  # type: ignore[method-assign]
            zombie.goes_on.set()
            await drained(other)
            await eventually(lambda: not first.leading)
            assert second.leading
            assert zombie.batches == 1
    records = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    assert first_of_each(records) == {key: [1, 2, 3]}
    assert len(records) <= 4


async def never_answers() -> bool:
    raise ConnectionResetError


async def test_an_event_of_another_process_is_sent_on_its_wake_up(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    async with opened(database_url) as other, running(database, kafka_servers, topic_prefix) as relay:
        await eventually(lambda: relay.leading)
        wake = OutboxWake(database_url, listen=False)
        other.on_publish.append(wake.published)
        waking = asyncio.create_task(wake.run())
        for number in range(20):
            await publish(other, session_event(new_id()), number)
        await drained(database)
        waking.cancel()
    assert len(await read_topic(kafka_servers, topic_prefix + SESSIONS.name)) == 20


@pytest.mark.rule("REL-6")
async def test_what_is_handed_over_in_memory_overtakes_nothing_of_another_process(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    keys = [new_id() for _ in range(20)]
    async with opened(database_url) as other, running(database, kafka_servers, topic_prefix) as relay:
        await eventually(lambda: relay.leading)
        for key in keys:
            await publish(database, session_event(key, 1), 1)
            await publish(other, session_event(key, 2), 2)  # nothing wakes the relay for this one
            await publish(database, session_event(key, 3), 3)
        await drained(database)
    records = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    assert first_of_each(records) == {key: [1, 2, 3] for key in keys}


async def test_without_any_wake_up_the_poll_finds_rows(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    async with running(database, kafka_servers, topic_prefix) as relay:
        await eventually(lambda: relay.leading)
        async with database.reading() as queries:
            record = record_of(session_event("s"))
            await queries.execute(
                "INSERT INTO outbox (topic, key, headers, payload) VALUES ($1, $2, $3, $4)",
                record.topic, record.key, '[["ce_id", "x"]]', record.value,
            )  # fmt: skip
        await drained(database, 5)


async def test_a_rolled_back_transaction_publishes_nothing(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    with suppress(ZeroDivisionError):
        async with database.transaction(cause()) as unit:
            unit.publish(session_event("lost"), sequence=1)
            await unit.flush()
            raise ZeroDivisionError
    async with running(database, kafka_servers, topic_prefix):
        await publish(database, session_event("kept"))
        await drained(database)
    (record,) = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    assert record.key == b"kept"


async def test_a_topic_that_does_not_exist_holds_up_no_other(
    database: Database, kafka_servers: str, topic_prefix: str, make_topics: Any
) -> None:
    record = record_of(session_event("s"))
    missing = Record("late.topic.v1", "s", record.headers, record.value)
    async with database.transaction(cause()) as unit:
        for _ in range(300):
            unit.publish_record(missing)
    events = [session_event(new_id()) for _ in range(10)]
    async with running(database, kafka_servers, topic_prefix):
        for event in events:
            await publish(database, event)

        async def rest() -> bool:
            return await waiting_rows(database) == 300

        await eventually(rest, seconds=30)
        await make_topics([topic_prefix + "late.topic.v1"])
        await drained(database)
    assert len(await read_topic(kafka_servers, topic_prefix + "late.topic.v1")) == 300
    sent = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    assert {record.key.decode() for record in sent} == {event.session_id for event in events}


async def test_a_wedged_producer_is_replaced(database: Database, kafka_servers: str, topic_prefix: str) -> None:
    """Its sequence is made to have a gap, which the broker refuses from then on."""
    producer = BatchProducer(kafka_servers, prefix=topic_prefix)
    key = new_id()
    async with running(database, kafka_servers, topic_prefix, producer=producer):
        await publish(database, session_event(key, 1), 1)
        await drained(database)
        wedged = producer._producer
        for partition in list(wedged._txn_manager._sequence_numbers):
            wedged._txn_manager.increment_sequence_number(partition, 100)
        await publish(database, session_event(key, 2), 2)
        await drained(database)
        assert producer._producer is not wedged
    assert first_of_each(await read_topic(kafka_servers, topic_prefix + SESSIONS.name)) == {key: [1, 2]}


@pytest.mark.slow
@pytest.mark.rule("REL-9")
async def test_a_broker_that_is_killed_and_comes_back_loses_and_inverts_nothing(
    database: Database, own_servers: Any
) -> None:
    from aiokafka.admin import NewTopic
    from makegood_stack.kafka import make_topics

    broker = own_servers.kafka()
    await make_topics(broker.url, [NewTopic(SESSIONS.name, 3, 1)])
    keys = await entities(database, 6)
    async with running(database, broker.url, "") as relay:
        await eventually(lambda: relay.leading)
        writing = asyncio.gather(*(write_changes(database, keys, 60) for _ in range(4)))
        await asyncio.wait({writing}, timeout=0.3)
        await asyncio.to_thread(broker.kill)
        await writing
        await write_changes(database, keys, 10)
        assert await waiting_rows(database) > 0
        await asyncio.to_thread(broker.start)
        await drained(database, 60)
        assert relay.leading
    records = await read_topic(broker.url, SESSIONS.name)
    assert first_of_each(records) == {key: list(range(1, last + 1)) for key, last in keys.items()}
    assert len(set(ids(records))) == 250
