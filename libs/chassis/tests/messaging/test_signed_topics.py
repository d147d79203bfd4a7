"""Signed events on a real broker: from the relay to a consumer, through dead letters and back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from makegood_chassis.database import Database
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.dead_letters import DeadLetterLimit
from makegood_chassis.messaging.event_keys import EventKey, EventKeys
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.redrive import list_letters, redrive
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.messaging.signatures import SIGNATURE, Signer
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_testkit.waiting import eventually

from .messaging_example import POISON, Handlers, session_event
from .messaging_helpers import cause, effects, produce, read_topic, record_of

BOOKING = Ed25519PrivateKey.generate()
SIGNER = Signer(BOOKING)
KEYS = EventKeys.fixed({SIGNER.kid: EventKey("booking", BOOKING.public_key())})


@pytest.mark.rule("SEC-7", "REL-7")
async def test_what_the_relay_signs_arrives_and_what_others_write_does_not(
    database: Database, kafka_servers: str, topic_prefix: str
) -> None:
    handlers = Handlers()
    relay = Relay(database, BatchProducer(kafka_servers, prefix=topic_prefix, signer=SIGNER), holder="r", batch=100)
    relaying = asyncio.create_task(relay.run())
    processor = Processor(
        database, handlers.table(), service="availability", guard=DeadLetterLimit(10, 60), prefix=topic_prefix,
        verifier=Verifier(KEYS),
    )  # fmt: skip
    consumer = Consumer(kafka_servers, f"{topic_prefix}availability", [topic_prefix + SESSIONS.name], processor)
    consuming = asyncio.create_task(consumer.run())
    events = [session_event(new_id(), member=POISON if n == 7 else "m") for n in range(150)]
    async with database.transaction(cause()) as unit:
        for event in events:
            unit.publish(event, sequence=1)
    await produce(kafka_servers, topic_prefix, [record_of(session_event(new_id())) for _ in range(30)])

    async def arrived(count: int) -> bool:
        return len(await effects(database)) >= count

    await eventually(lambda: arrived(149), seconds=40, what="149 effects")

    async def letters() -> list[Any]:
        return [letter async for letter in list_letters(kafka_servers, "availability", prefix=topic_prefix)]

    async def all_letters() -> bool:
        return len(await letters()) == 21

    await eventually(all_letters, seconds=40, what="20 letters of forged records and one of a poisonous event")
    assert {letter.reason for letter in await letters()} == {"unsigned", "ValueError"}
    handlers.mended = True
    assert len(await redrive(kafka_servers, "availability", prefix=topic_prefix, reason="ValueError")) == 1
    await eventually(lambda: arrived(150), seconds=40, what="the event that was put back")
    assert len(await redrive(kafka_servers, "availability", prefix=topic_prefix, reason="unsigned")) == 20
    consumer.stop()
    relay.stop()
    await asyncio.gather(consuming, relaying)
    assert {key for _, key, _ in await effects(database)} == {event.session_id for event in events}
    records = await read_topic(kafka_servers, topic_prefix + SESSIONS.name)
    verifier = Verifier(KEYS)
    genuine = [one for one in records if any(name == SIGNATURE for name, _ in one.headers)]
    assert len(genuine) == 151, "one of them twice, put back"
    assert {verifier.check(SESSIONS.name, one.key, one.headers, one.value) for one in genuine} == {None}
    assert len(verifier._roots) <= 10
