"""`makegood topics redrive` on a real broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from makegood_chassis.messaging.dead_letters import as_dead_letter
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events.rooms import RoomOpened
from makegood_stack.topic_state import partition_ends
from makegood_testkit.cli import Cli

ROOMS = "booking.rooms.v1"
Send = Callable[[Record], Awaitable[None]]


def _opened(room: str) -> Record:
    event = RoomOpened(room_id=room, member_id="m", provider_id="p", room_version=1, opened_at=datetime.now(UTC))
    return encode(event, sequence=1, cause=Cause("story", "request"))


def _as_consumed(record: Record, offset: int) -> ConsumerRecord[bytes, bytes]:
    headers = [(name, value.encode()) for name, value in record.headers]
    key = record.key.encode()
    return ConsumerRecord(
        ROOMS, 0, offset, 0, 0, key, record.value, None, len(key), len(record.value), headers
    )  # fmt: skip


async def _bury(servers: str, prefix: str, records: dict[str, Record]) -> None:
    """Dead letters of availability, each with the reason that is its key here."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for offset, (reason, record) in enumerate(records.items()):
            letter = as_dead_letter(
                _as_consumed(record, offset), service="availability", topic=ROOMS, reason=reason, attempts=1
            )
            headers = [(name, value.encode()) for name, value in letter.headers]
            await producer.send_and_wait(prefix + letter.topic, letter.value, key=letter.key.encode(), headers=headers)
    finally:
        await producer.stop()


async def _count(servers: str, topic: str) -> int:
    ends = await partition_ends(servers, topic)
    assert ends is not None
    return sum(end - start for start, end in ends.values())


@pytest.mark.rule("REL-7")
async def test_letters_are_put_back_and_told(cli: Cli, kafka_servers: str, topic_prefix: str) -> None:
    records = {"ValueError": _opened("room-1"), "KeyError": _opened("room-2")}
    ids = {reason: record.id for reason, record in records.items()}

    def redrive(*words: str) -> tuple[int, str, str]:
        result = cli(
            "topics", "redrive", "availability", *words,
            KAFKA_BOOTSTRAP_SERVERS=kafka_servers, KAFKA_TOPIC_PREFIX=topic_prefix,
        )  # fmt: skip
        return result.returncode, result.stdout, result.stderr

    assert redrive()[:2] == (0, "0 dead letters of availability sent again\n")
    await _bury(kafka_servers, topic_prefix, records)
    assert redrive("--reason", "TypeError")[:2] == (0, "0 dead letters of availability sent again\n")
    assert await _count(kafka_servers, topic_prefix + ROOMS) == 0

    code, shown, _ = redrive("--reason", "KeyError")
    assert code == 0
    line, last = shown.splitlines()
    assert [word for word in (ROOMS, "RoomOpened", "room-2", ids["KeyError"], "KeyError") if word not in line] == []
    assert last == "1 dead letter of availability sent again"

    code, shown, errors = redrive("--id", ids["ValueError"], "--id", "nothing")
    assert code == 1
    assert ids["ValueError"] in shown
    assert "availability has no dead letter with --id nothing" in errors

    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        topic_prefix + ROOMS, bootstrap_servers=kafka_servers, group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found = [await consumer.getone() for _ in range(2)]
    finally:
        await consumer.stop()
    for record in found:
        headers = dict(record.headers)
        original = next(r for r in records.values() if r.id == headers["ce_id"].decode())
        assert (record.key, record.value) == (original.key.encode(), original.value)
        assert headers["makegood_redrive"] == b"1"
        assert not [name for name in headers if name.startswith("makegood_dead")]
