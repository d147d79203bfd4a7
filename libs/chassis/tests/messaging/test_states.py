"""State topics: what changes is sent as it is now, nothing older follows, and what is erased does not come back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from aiokafka.structs import ConsumerRecord
from makegood_chassis.database import Database, PublishedRow
from makegood_chassis.ending import end
from makegood_chassis.messaging.batch_producer import BatchProducer, SendResult
from makegood_chassis.messaging.lease import Lease
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.service import Service
from makegood_chassis.states import filling
from makegood_chassis.states.erasure import erase_states
from makegood_chassis.states.publisher import StatePublisher
from makegood_chassis.states.source import StateSource
from makegood_chassis.states.tables import SCHEMA, marks
from makegood_contracts.envelope import decode
from makegood_contracts.events import InvoiceState, RoomState
from makegood_contracts.ids import new_id
from makegood_contracts.topics import ROOMS_STATE
from makegood_testkit.waiting import eventually

from .messaging_helpers import cause, read_topic

_TABLES = """
CREATE TABLE rooms (id uuid PRIMARY KEY, member_id text, provider_id text, status text DEFAULT 'active',
    created_at timestamptz DEFAULT now(), version int, seen int);
CREATE TABLE invoices (id uuid PRIMARY KEY, member_id text, status text);
"""
ROOMS = StateSource(
    RoomState,
    "rooms",
    ("member_id", "provider_id"),
    columns={"room_id": "id::text", "opened_at": "created_at", "room_version": "version"},
)


@pytest_asyncio.fixture
async def rooms(database: Database) -> Database:
    async with database.reading() as queries:
        for script in (SCHEMA, _TABLES):
            await queries.connection.execute(script)
    return database


async def mark(database: Database) -> None:
    """Marks rooms from now on, as the migration does."""
    async with database.reading() as queries:
        await queries.connection.execute(marks(ROOMS_STATE.name, "rooms", ["version"]))


async def add(database: Database, count: int) -> list[str]:
    keys = [new_id() for _ in range(count)]
    async with database.reading() as queries:
        await queries.execute(
            "INSERT INTO rooms (id, member_id, provider_id, version) SELECT id, 'm', 'p', 1 FROM unnest($1::uuid[]) AS id",
            keys,
        )
    return keys


async def change(database: Database, key: str, column: str = "version") -> None:
    async with database.reading() as queries:
        await queries.execute(f"UPDATE rooms SET {column} = coalesce({column}, 0) + 1 WHERE id = $1::uuid", key)


@asynccontextmanager
async def publishing(
    database: Database,
    servers: str,
    prefix: str,
    *,
    holder: str = "one",
    sources: Sequence[StateSource] = (ROOMS,),
    doubt: float = 0.0,
) -> AsyncIterator[None]:
    states = StatePublisher(
        database, BatchProducer(servers, prefix=prefix, ack_timeout=5), sources, watch=database, pause=0.01, doubt=doubt
    )
    relay = Relay(database, BatchProducer(servers, prefix=prefix), holder=holder, lease_seconds=1.0, states=states)
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        relay.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def waiting(database: Database) -> int:
    async with database.reading() as queries:
        return int(await queries.fetch_value("SELECT count(*) FROM state_changes"))


async def sent(database: Database) -> None:
    async def none_left() -> bool:
        return await waiting(database) == 0

    await eventually(none_left, what="states to be sent")


async def records(servers: str, prefix: str) -> dict[str, list[ConsumerRecord]]:
    """What is on the topic of rooms, by key, in order."""
    found: dict[str, list[ConsumerRecord]] = {}
    for record in await read_topic(servers, prefix + ROOMS_STATE.name):
        found.setdefault((record.key or b"").decode(), []).append(record)
    return found


def versions(found: Sequence[ConsumerRecord]) -> list[int]:
    return [cast("RoomState", decode(one.key, one.headers, one.value).event).room_version for one in found]


def sequences(found: Sequence[ConsumerRecord]) -> list[int]:
    return [int(dict(one.headers)["ce_sequence"]) for one in found]


async def test_changes_of_a_moment_are_sent_once_and_what_is_not_published_or_rolled_back_is_not(
    rooms: Database, kafka_servers: str, topic_prefix: str
) -> None:
    await mark(rooms)
    key, quiet = await add(rooms, 2)
    for _ in range(4):
        await change(rooms, key)
    assert await waiting(rooms) == 6
    await change(rooms, quiet, "seen")
    with suppress(ZeroDivisionError):
        async with rooms.transaction(cause()) as unit:
            await unit.execute("UPDATE rooms SET version = 9 WHERE id = $1::uuid", key)
            raise ZeroDivisionError
    assert await waiting(rooms) == 6
    async with publishing(rooms, kafka_servers, topic_prefix):
        await sent(rooms)
    found = await records(kafka_servers, topic_prefix)
    assert {name: versions(one) for name, one in found.items()} == {key: [5], quiet: [1]}


async def test_nothing_older_follows_over_changes_of_leader_and_a_fill(
    rooms: Database, kafka_servers: str, topic_prefix: str
) -> None:
    """Rooms that were there before the topic are filled while they change, and while leaders come and go."""
    keys = await add(rooms, 40)
    await mark(rooms)
    service = cast("Service[Any]", SimpleNamespace(database=rooms, states=(ROOMS,), events={}))
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(300):
            await change(rooms, random.choice(keys))
        done.set()

    async def lead() -> None:
        for turn in range(100):
            async with publishing(rooms, kafka_servers, topic_prefix, holder=f"leader-{turn}", doubt=0.1):
                await asyncio.sleep(random.random() * 0.3)
                if done.is_set():
                    await sent(rooms)
                    return

    async def fill() -> None:
        while not done.is_set():
            await filling._fill(service.database, ROOMS)

    async with asyncio.TaskGroup() as group:
        for job in (write(), lead(), fill()):
            group.create_task(job)
    found = await records(kafka_servers, topic_prefix)
    async with rooms.reading() as queries:
        present = {row[0]: row[1] for row in await queries.fetch("SELECT id::text, version FROM rooms")}
    assert {key: versions(one)[-1] for key, one in found.items()} == present
    for one in found.values():
        assert versions(one) == sorted(versions(one))
        assert sequences(one) == sorted(sequences(one))


async def test_a_fill_that_was_interrupted_goes_on_and_one_that_ended_begins_again(
    rooms: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = sorted(await add(rooms, 25))
    await mark(rooms)
    monkeypatch.setattr(filling, "_PAGE", 10)
    pages = 0

    async def interrupted(_: Database) -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise ConnectionResetError

    async def marked() -> list[str]:
        async with rooms.reading() as queries:
            return [row[0] for row in await queries.fetch("DELETE FROM state_changes RETURNING key")]

    with monkeypatch.context() as patched:
        patched.setattr(filling, "_room", interrupted)
        with pytest.raises(ConnectionResetError):
            await filling._fill(rooms, ROOMS)
    assert sorted(await marked()) == keys[:10]
    await filling._fill(rooms, ROOMS)
    assert sorted(await marked()) == keys[10:]
    await filling._fill(rooms, ROOMS)
    assert sorted(await marked()) == keys


class Paused(BatchProducer):
    """Stops in `send` with what it was given, until it may go on, and then sends it."""

    def __init__(self, servers: str, prefix: str) -> None:
        super().__init__(servers, prefix=prefix)
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def send(self, rows: Sequence[PublishedRow]) -> SendResult:
        self.reached.set()
        await self.go_on.wait()
        return await super().send(rows)


class Settles(StatePublisher):
    """A leader that may die once the broker has what it sent: then it marks nothing."""

    dies = False

    async def _settle(self, *args: Any) -> None:
        if not self.dies:
            await super()._settle(*args)


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies"])
async def test_a_leader_that_was_paused_while_another_led_leaves_nothing_older(
    rooms: Database, kafka_servers: str, topic_prefix: str, dies: bool
) -> None:
    """It holds an older state in its hands, and sends it after the leader of now has sent a newer one."""
    await mark(rooms)
    (key,) = await add(rooms, 1)
    paused = Paused(kafka_servers, topic_prefix)
    late = Settles(rooms, paused, (ROOMS,), watch=rooms, doubt=2.0 if dies else 0.0)
    late.dies = dies
    before, now = (Lease(rooms, "relay", holder, seconds=0.5) for holder in ("before", "now"))
    assert await before.take()
    turn = asyncio.create_task(late.turn(before))
    await paused.reached.wait()
    await change(rooms, key)
    await eventually(now.take)
    keeping = asyncio.create_task(now.keep())
    producer = BatchProducer(kafka_servers, prefix=topic_prefix)
    leader = StatePublisher(rooms, producer, (ROOMS,), watch=rooms, pause=0.01, doubt=2.0 if dies else 0.0)
    leading = asyncio.create_task(leader.lead(now))

    async def newest() -> list[int]:
        return versions((await records(kafka_servers, topic_prefix)).get(key, []))

    async def sent_by_the_leader() -> bool:
        return await newest() == [2]

    async def overtaken() -> bool:
        leader.wake()
        return (await newest())[-2:] == [1, 2]

    try:
        await eventually(sent_by_the_leader)
        paused.go_on.set()
        await turn
        await eventually(overtaken)
    finally:
        await end([keeping, leading])
        await paused.close()


async def test_what_the_broker_did_not_acknowledge_is_sent_again_at_once_and_once_more_when_it_can_not_arrive_any_more(
    rooms: Database, kafka_servers: str, topic_prefix: str
) -> None:
    await mark(rooms)
    (key,) = await add(rooms, 1)

    class Unanswered(BatchProducer):
        asked = 0

        async def send(self, rows: Sequence[PublishedRow]) -> SendResult:
            outcome = await super().send(rows)
            self.asked += 1
            if self.asked == 1:
                outcome.failed[ROOMS_STATE.name], outcome.sent = TimeoutError(), []
            return outcome

    producer = Unanswered(kafka_servers, prefix=topic_prefix)
    states = StatePublisher(rooms, producer, (ROOMS,), watch=rooms, doubt=1.0)
    lease = Lease(rooms, "relay", "one", seconds=60)
    assert await lease.take()
    try:
        await states.turn(lease)
        states._blocked.clear()
        await states.turn(lease)
        assert versions((await records(kafka_servers, topic_prefix))[key]) == [1, 1]
        assert await waiting(rooms) == 1

        async def settled() -> bool:
            await states.turn(lease)
            return await waiting(rooms) == 0

        await eventually(settled)
        assert versions((await records(kafka_servers, topic_prefix))[key]) == [1, 1, 1]
    finally:
        await producer.close()


async def test_a_row_that_is_deleted_leaves_a_tombstone(rooms: Database, kafka_servers: str, topic_prefix: str) -> None:
    await mark(rooms)
    (key,) = await add(rooms, 1)
    async with publishing(rooms, kafka_servers, topic_prefix):
        await sent(rooms)
        async with rooms.reading() as queries:
            await queries.execute("DELETE FROM rooms")
        await sent(rooms)
    assert [one.value is None for one in (await records(kafka_servers, topic_prefix))[key]] == [False, True]


async def test_what_another_process_changed_without_an_event_is_found(
    rooms: Database, kafka_servers: str, topic_prefix: str
) -> None:
    """It has no event, so nothing wakes the leader; the renewal of its lease tells of it."""
    await mark(rooms)
    async with publishing(rooms, kafka_servers, topic_prefix):
        await add(rooms, 1)
        await sent(rooms)


@pytest.mark.rule("NOTE-5")
async def test_of_an_erased_person_tombstones_remain_whatever_changes_later(
    rooms: Database, kafka_servers: str, topic_prefix: str
) -> None:
    await mark(rooms)
    gone, other = await add(rooms, 2)
    async with rooms.reading() as queries:
        await queries.execute("UPDATE rooms SET member_id = 'erased', version = 2 WHERE id = $1::uuid", gone)
    async with publishing(rooms, kafka_servers, topic_prefix):
        await sent(rooms)
        async with rooms.transaction(cause()) as unit:
            await erase_states(unit, ["erased"])
        await sent(rooms)
        await change(rooms, gone)
        await change(rooms, other)
        await sent(rooms)
        await filling._fill(rooms, ROOMS)
        await sent(rooms)
    found = await records(kafka_servers, topic_prefix)
    assert [one.value is None for one in found[gone]] == [False, True, True, True]
    assert sequences(found[gone]) == sorted(sequences(found[gone]))
    assert versions(found[other])[-1] == 2


async def test_a_topic_that_does_not_exist_holds_up_no_other(
    rooms: Database, kafka_servers: str, topic_prefix: str
) -> None:
    class NowhereState(InvoiceState, frozen=True, kw_only=True):
        """A state of a topic that nobody made. It is taken off the contracts below."""

        topic = ROOMS_STATE.__class__("credits.nowhere.state.v1", "credits", "invoice_id", "", 1, compacted=True)

    from makegood_contracts.events import EVENT_TYPES

    del EVENT_TYPES[NowhereState.type]
    await mark(rooms)
    async with rooms.reading() as queries:
        await queries.execute(
            "INSERT INTO state_changes (topic, key) VALUES ('credits.nowhere.state.v1', $1)", new_id()
        )
    nowhere = StateSource(
        NowhereState, "invoices", ("member_id",), columns=dict.fromkeys(NowhereState.__struct_fields__, "NULL")
    )
    (key,) = await add(rooms, 1)
    async with publishing(rooms, kafka_servers, topic_prefix, sources=(ROOMS, nowhere)):

        async def one_left() -> bool:
            return await waiting(rooms) == 1

        await eventually(one_left)
    assert [versions(one) for one in (await records(kafka_servers, topic_prefix)).values()] == [[1]]
    assert key in await records(kafka_servers, topic_prefix)
