"""Records that anybody who reaches Kafka can write: none of them keeps a consumer from the event behind it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from makegood_chassis.database import Database
from makegood_chassis.messaging import event_keys
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.partitions import partition_hash
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.messaging.signatures import SIGNATURE
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.envelope import Record
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_testkit.waiting import eventually

from .messaging_example import Handlers, session_event
from .messaging_helpers import effects, read_topic, record_of
from .raw_records import in_snappy, renamed, write_batch
from .test_forgeries import KEYS, sign

Raw = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
DEPTH = 200_000


def raw(record: Record) -> Raw:
    return record.key.encode(), record.value, [(name, text.encode()) for name, text in record.headers]


def hostile(signed: bool) -> list[Raw]:
    """Every header without a value, in turn; deep payloads; no key, value, headers; odd names and sizes."""

    def fresh() -> Raw:
        record = at(0)
        return raw(sign([record])[0] if signed else record)

    found: list[Raw] = []
    for name in [name for name, _ in fresh()[2]] + ["makegood_redrive", SIGNATURE, "other"]:
        key, value, headers = fresh()
        found.append((key, value, [*((n, v) for n, v in headers if n != name), (name, None)]))
    key, value, headers = fresh()
    assert value is not None
    for inside in (b"[" * DEPTH + b"]" * DEPTH, b'{"a":' * (DEPTH // 2) + b"1" + b"}" * (DEPTH // 2), b"[" * DEPTH):
        deep = value[:-1] + b',"unknown":' + inside + b"}"
        bare = [(name, text) for name, text in headers if name != SIGNATURE]
        found.append((key, deep, raw(sign([_as_record(key, deep, bare)])[0])[2] if signed else bare))
    found += [(None, None, []), (None, None, headers), (b"\xff", value, headers), (key, b"", headers)]
    for name, text in (
        ("a\0b", b"x"),
        ("", b""),
        ("makegood_dead_key", b"!"),
        ("long", b"\xff" * 400_000),
        ("ce_time", b"\xff"),
    ):
        key, value, headers = fresh()
        found.append((key, value, [*headers, (name, text)]))
    key, value, headers = fresh()
    found.append((key, value, [(n, b"2026-01-01T00:00:00" if n == "ce_time" else v) for n, v in headers]))
    return found


def _as_record(key: bytes | None, value: bytes, headers: list[tuple[str, bytes | None]]) -> Record:
    return Record(SESSIONS.name, (key or b"").decode(), [(n, (v or b"").decode()) for n, v in headers], value)


def at(partition: int) -> Record:
    """An event whose key belongs to the partition."""
    while partition_hash(key := new_id()) % SESSIONS.partitions != partition:
        pass
    return record_of(session_event(key))


class Running:
    """A consumer, its relay, and a producer on a real broker."""

    def __init__(self, database: Database, servers: str, prefix: str, *, verify: bool = True) -> None:
        self.processor = Processor(
            database, Handlers().table(), service="availability", guard=DeadLetterLimit(10_000, 60), prefix=prefix,
            verifier=Verifier(KEYS) if verify else None,
        )  # fmt: skip
        self.database, self.servers, self.prefix = database, servers, prefix
        self.topic = prefix + SESSIONS.name
        self.consumer = Consumer(servers, f"{prefix}availability", [self.topic], self.processor)
        self.relay = Relay(database, BatchProducer(servers, prefix=prefix), holder="r")
        self.producer = AIOKafkaProducer(bootstrap_servers=servers)
        self.good: list[str] = []

    async def __aenter__(self) -> Running:
        await self.producer.start()
        self.tasks = [asyncio.create_task(self.consumer.run()), asyncio.create_task(self.relay.run())]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.consumer.stop()
        self.relay.stop()
        await self.producer.stop()
        await asyncio.gather(*self.tasks)

    async def write(self, records: list[Raw], change: Any = None, partition: int = 0) -> None:
        await write_batch(self.producer, self.topic, partition, records, change)

    async def write_good(self, partition: int = 0) -> None:
        record = at(partition)
        self.good.append(record.id)
        await self.write([raw(sign([record])[0])], partition=partition)

    async def all_good_handled(self) -> None:
        async def there() -> bool:
            for task in self.tasks:
                if task.done():
                    task.result()
            return {row[0] for row in await effects(self.database)} == set(self.good)

        await eventually(there, seconds=60, what="the events behind")

    async def dead(self, count: int) -> list[dict[str, bytes]]:
        async def there() -> Any:
            found = await read_topic(self.servers, f"{self.prefix}availability.dead-letters.v1")
            return len(found) >= count and [dict(one.headers) for one in found]

        letters: list[dict[str, bytes]] = await eventually(there, seconds=60, what=f"{count} letters")
        return letters


@pytest.mark.rule("SEC-7", "REL-7")
@pytest.mark.parametrize(("signed", "verify"), [(False, True), (True, True), (False, False)])
async def test_no_record_keeps_the_consumer_from_the_event_behind_it(
    database: Database, kafka_servers: str, topic_prefix: str, signed: bool, verify: bool
) -> None:
    async with Running(database, kafka_servers, topic_prefix, verify=verify) as one:
        for record in hostile(signed):
            await one.write([record])
            await one.write_good()

        async def there() -> bool:
            for task in one.tasks:
                if task.done():
                    task.result()
            return set(one.good) <= {row[0] for row in await effects(database)}

        await eventually(there, seconds=60, what="the events behind")
        if not verify:
            return
        letters = await one.dead(20)
        assert all(letter["makegood_dead_reason"] for letter in letters)
    if not signed:
        assert {row[0] for row in await effects(database)} == set(one.good)


@pytest.mark.rule("SEC-7", "REL-7")
async def test_records_that_cannot_be_taken_from_their_batch_are_stepped_over(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    name = partial(renamed, name=b"odd-name", raw=b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe")

    def odd(data: bytes) -> bytes:
        return name(data)

    bad: Raw = (b"k", b"v" * 100, [("odd-name", b"x")])
    async with Running(database, kafka_servers, topic_prefix) as one:
        await one.write_good()
        await one.write([bad], odd)
        await one.write_good()
        # Genuine events stand before it in the same batch, as they could if an attacker copied them.
        first = at(0)
        one.good.append(first.id)
        await one.write([raw(sign([first])[0]), bad, bad, bad], odd)
        for partition in (1, 2, 0, 1, 2):
            await one.write_good(partition)
            await one.write([bad], odd, partition)
            await one.write_good(partition)
        await one.write([bad], in_snappy)
        await one.write_good()
        await one.all_good_handled()
        letters = await one.dead(8)
        assert {letter["makegood_dead_reason"] for letter in letters} == {b"unreadable"}
        assert sum(int(letter["makegood_dead_count"]) for letter in letters) == 10
        assert sorted(row[0] for row in await effects(database)) == sorted(one.good)


@pytest.mark.rule("SEC-7", "REL-6")
async def test_a_copy_on_another_partition_overtakes_nothing(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    session = at(0).key
    first, second = sign([record_of(session_event(session, number), number) for number in (1, 2)])
    async with Running(database, kafka_servers, topic_prefix) as one:
        await one.write([raw(second)], partition=1)
        [letter] = await one.dead(1)
        assert letter["makegood_dead_reason"] == b"wrong-partition"
        await one.write([raw(first), raw(second)])
        one.good += [first.id, second.id]
        await one.all_good_handled()


async def test_keys_that_come_in_drips_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    monkeypatch.setattr(event_keys, "FETCH_TIMEOUT", 0.2, raising=False)
    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        keys = event_keys.EventKeys(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys")
        async with asyncio.timeout(30):
            assert not await keys.refresh()
