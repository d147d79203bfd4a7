"""What the audit reads of real topics, and that they are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition
from makegood_cli.audit import topics
from makegood_cli.audit.agreement import events_are_whole
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import (
    CreditReturned,
    Event,
    InvoiceIssued,
    InvoiceVoided,
    MessageDelivered,
    MessageFailed,
    ProviderMissed,
    RoomClosed,
    RoomOpened,
    SessionCancelled,
    SlotReleased,
)
from makegood_contracts.topics import TOPICS
from makegood_stack.kafka import make_topics as create
from makegood_stack.topics import provide, wanted
from makegood_testkit.waiting import eventually

NOW = datetime.now(UTC)
CAUSE = Cause("story", "story")
SESSION = str(uuid4())


@pytest_asyncio.fixture
async def producer(kafka_servers: str) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka_servers) as made:
        yield made


async def send(producer: AIOKafkaProducer, prefix: str, *records: Record) -> None:
    for record in records:
        headers = [(name, value.encode()) for name, value in record.headers]
        await producer.send_and_wait(
            prefix + record.topic, record.value, record.key.encode(), partition=0, headers=headers
        )


def published(event: Event, sequence: int) -> Record:
    return encode(event, sequence=sequence, cause=CAUSE)


def opened(room: str) -> Event:
    return RoomOpened(room_id=room, member_id="m", provider_id="p", room_version=1, opened_at=NOW)


def closed(room: str) -> Event:
    return RoomClosed(room_id=room, member_id="m", provider_id="p", room_version=2, closed_at=NOW)


@pytest.mark.rule("REL-6")
async def test_what_is_wrong_with_events_is_seen(
    kafka_servers: str, topic_prefix: str, producer: AIOKafkaProducer
) -> None:
    twice = published(closed("whole"), 2)
    broken = published(opened("broken"), 1)
    await send(
        producer,
        topic_prefix,
        published(opened("whole"), 1),
        twice,
        twice,
        published(closed("headless"), 2),
        published(opened("gap"), 1),
        published(closed("gap"), 3),
        Record(broken.topic, broken.key, broken.headers, b"{}"),
        Record(broken.topic, "another key", broken.headers, broken.value),
        Record(broken.topic, broken.key, [h for h in broken.headers if h[0] != "ce_time"], broken.value),
        Record("booking.sessions.v1", broken.key, broken.headers, broken.value),
    )
    async with topics.reading(kafka_servers, topic_prefix) as reader:
        witness = await reader.catch_up()
        assert (witness.events, witness.duplicates, witness.malformed) == (6, 1, 4)
        assert witness.last["booking.rooms.v1"] == {"whole": 2, "headless": 2, "gap": 3}
        assert witness.headless == [("booking.rooms.v1", "headless", 2)]
        assert witness.disorders == ["booking.rooms.v1, key gap: sequence 3 follows 1"]
        # What comes later is read by the next look, and nothing twice.
        await send(producer, topic_prefix, published(opened("later"), 1))
        again = await reader.catch_up()
        assert (again.events, again.duplicates, again.last["booking.rooms.v1"]["later"]) == (7, 1, 1)


@pytest.mark.rule("MISS-2", "CANC-1")
async def test_what_events_say_is_kept(kafka_servers: str, topic_prefix: str, producer: AIOKafkaProducer) -> None:
    about: dict[str, Any] = {
        "session_id": SESSION,
        "member_id": "m",
        "provider_id": "p",
        "starts_at": NOW,
        "ends_at": NOW,
    }
    session: dict[str, Any] = {**about, "room_id": "r", "length_minutes": 30, "modality": "video", "time_zone": "UTC"}
    delivery: dict[str, Any] = {"person_id": "m", "channel": "email", "template": "provider-missed"}
    entry: dict[str, Any] = {
        "entry_id": "e",
        "member_id": "m",
        "lot_id": "l",
        "amount": 1,
        "available_after": 1,
        "held_after": 0,
    }
    invoice: dict[str, Any] = {
        "invoice_id": "i",
        "member_id": "m",
        "amount_minor": 1,
        "currency": "EUR",
        "cause": "cancelled",
    }
    longer = {name: value for name, value in invoice.items() if name != "cause"}
    longer |= {"invoice_id": "longer", "session_id": SESSION}
    events: list[Event] = [
        ProviderMissed(**session, session_version=1, absent_party="both", missed_at=NOW, grace_minutes=10),
        SessionCancelled(
            **{**session, "session_id": "c"},
            session_version=1, cancelled_by="member", cancelled_at=NOW, forfeits=True, was_confirmed=True,
        ),
        SlotReleased(**about, cause="provider_missed", reopened=False),
        CreditReturned(
            **entry, session_id=SESSION, hold_id="h", cause="provider_missed", source="plan", expires_at=None
        ),
        InvoiceVoided(**invoice, session_id="c"),
        InvoiceVoided(**invoice),
        # What a longer session cost more is no part of its price.
        InvoiceIssued(**{**longer, "due_on": NOW.date(), "about": "extension"}),
        InvoiceVoided(**longer, cause="provider_missed"),
        MessageDelivered(**delivery, delivery_id="sent", delivered_at=NOW),
        MessageFailed(**delivery, delivery_id="failed", failure="refused"),
    ]  # fmt: skip
    await send(producer, topic_prefix, *(published(event, 1) for event in events))
    async with topics.reading(kafka_servers, topic_prefix) as reader:
        witness = await reader.catch_up()
    assert (witness.events, witness.malformed, witness.missed) == (len(events), 0, {SESSION})
    assert (witness.cancelled, dict(witness.slot_released)) == ({"c": True}, {SESSION: 1})
    assert witness.came_back == {SESSION: ["provider_missed"], "c": ["cancelled"]}
    assert (witness.delivered, witness.failed) == ({"sent"}, {"failed"})


async def test_a_topic_whose_beginning_is_gone_is_known_as_cut(
    kafka_servers: str, topic_prefix: str, producer: AIOKafkaProducer
) -> None:
    await send(producer, topic_prefix, published(opened("room"), 1), published(closed("room"), 2))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    await admin.start()
    try:
        partition = TopicPartition(f"{topic_prefix}booking.rooms.v1", 0)
        await admin.delete_records({partition: RecordsToDelete(before_offset=1)})
    finally:
        await admin.close()
    async with topics.reading(kafka_servers, topic_prefix) as reader:
        witness = await reader.catch_up()
    assert witness.cut == {"booking.rooms.v1"}
    assert witness.headless == [("booking.rooms.v1", "room", 2)]
    assert list(events_are_whole(witness, None)) == []  # type: ignore[arg-type]


async def own_settings(bootstrap: str, names: list[str]) -> dict[str, dict[str, str]]:
    """What was set for the topics themselves."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        if any(code for answer in answers for code, *_ in answer.resources):
            return {}
        return {
            name: {key: value for key, value, _, source, *_ in values if source == 1}
            for answer in answers
            for *_, name, values in answer.resources
        }
    finally:
        await admin.close()


async def until(
    look: Callable[[], Awaitable[dict[str, dict[str, str]]]], enough: Callable[[dict[str, dict[str, str]]], bool]
) -> None:
    """A broker answers from what it knows so far of its controller's log, so it is asked again."""

    async def known() -> bool:
        settings = await look()
        return bool(settings) and enough(settings)

    await eventually(known)


async def test_topics_new_and_old_are_kept_for_good_unless_somebody_said_otherwise(kafka_servers: str) -> None:
    prefix = f"kept{uuid4().hex[:8]}."
    names = [prefix + topic.name for topic in TOPICS]
    old, set_by_hand, *rest = names
    await create(
        kafka_servers,
        [
            NewTopic(old, 1, 1, topic_configs={"max.message.bytes": "2000000"}),
            NewTopic(set_by_hand, 1, 1, topic_configs={"retention.ms": "60000"}),
        ],
    )
    expected = {
        old: {"max.message.bytes": "2000000", "cleanup.policy": "delete", "retention.ms": "-1"},
        set_by_hand: {"cleanup.policy": "delete", "retention.ms": "60000"},
        **{prefix + topic.name: dict(topic.settings) for topic in TOPICS if prefix + topic.name in rest},
    }
    assert all(settings["retention.ms"] == "-1" for name, settings in expected.items() if name != set_by_hand)
    await until(lambda: own_settings(kafka_servers, [old, set_by_hand]), lambda settings: all(settings.values()))
    assert set(await provide(kafka_servers, wanted(prefix))) == set(rest)
    await until(lambda: own_settings(kafka_servers, names), lambda settings: settings == expected)
    assert await own_settings(kafka_servers, names) == expected
    assert await provide(kafka_servers, wanted(prefix)) == []
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    await admin.start()
    try:
        await admin.delete_topics(names)
    finally:
        await admin.close()
