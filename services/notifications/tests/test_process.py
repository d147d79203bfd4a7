"""The whole process: an event on a topic becomes an e-mail, and a restart repeats nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.ids import new_id
from makegood_stack.ports import free_ports
from makegood_testkit.databases import settings_of

from .conftest import START, NotificationsHarness
from .test_messages import invitation


@asynccontextmanager
async def working(harness: NotificationsHarness, kafka: str, prefix: str) -> AsyncIterator[asyncio.subprocess.Process]:
    port, probes = free_ports(2)
    environment = os.environ | {
        "MAKEGOOD_ENVIRONMENT": "development",
        **settings_of("notifications", harness.database.url),
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix,
        "JWKS_URL": harness.service.settings.jwks_url,
        "SMTP_PORT": str(harness.inbox.port),
        "HTTP_PORT": str(port),
        "PROBE_PORT": str(probes),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "makegood_notifications", "work", env=environment, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, output.decode()[-3000:]
        assert b"canary" not in output.lower()


@pytest.mark.rule("MISS-3", "NOTE-1", "NOTE-2", "SEC-3")
async def test_a_miss_on_the_topic_becomes_one_mail_across_a_restart(
    harness: NotificationsHarness, kafka_servers: str, topic_prefix: str
) -> None:
    await harness.everybody()
    opened = facts.RoomOpened(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=1, opened_at=START
    )
    garden = new_id()
    here: dict[str, Any] = {"modality": "in_person", "venue_id": garden}
    venue = facts.VenuePublished(
        venue_id=garden, venue_version=1, name="Garden Practice", place="Leeds", time_zone="Europe/London"
    )
    events: list[Any] = [
        venue,
        opened,
        harness.session(facts.SessionReserved, confirm_by=START, **here),
        harness.session(facts.SessionConfirmed, confirmed_by="provider", **here),
        harness.missed(**here),
    ]
    causes = [Cause(new_id(), new_id()) for _ in events]
    records = [encode(event, sequence=n, cause=causes[n]) for n, event in enumerate(events)]
    producer = AIOKafkaProducer(bootstrap_servers=kafka_servers)
    await producer.start()

    async def send(records: Sequence[Record]) -> None:
        for record in records:
            headers = [(name, value.encode()) for name, value in record.headers]
            await producer.send_and_wait(
                topic_prefix + record.topic, record.value, record.key.encode(), headers=headers
            )

    try:
        async with working(harness, kafka_servers, topic_prefix):
            await send(records[:-1])
            await harness.inbox.wait(2, seconds=60)
            await harness.settled()  # what is no longer true by then would not be sent
            await send(records[-1:])
            await harness.inbox.wait(4, seconds=60)
            await harness.settled()
        await send(records)  # the same events again: a producer's retry
        last = harness.missed(session_id=new_id())
        records = [encode(last, sequence=1, cause=Cause(new_id(), new_id()))]
        async with working(harness, kafka_servers, topic_prefix):
            await send(records)
            await harness.inbox.wait(5, seconds=60)
            await harness.settled()
    finally:
        await producer.stop()
    mine = await harness.inbox.wait_for(harness.ada, 3)
    assert [str(invitation(mail)[1]["LOCATION"]) for mail in mine[:2]] == ["Garden Practice, Leeds"] * 2
    assert [mail["Subject"] for mail in await harness.inbox.wait_for(harness.grace, 2)] == [
        "A session for your calendar.",
        "A session was removed from your calendar.",
    ]
    assert [mail["Subject"] for mail in mine] == [
        "Your session is confirmed! Mark your calendar.",
        "Your provider missed your scheduled session.",
        "Your provider missed your scheduled session.",
    ]


@pytest.mark.rule("NOTE-3", "RESC-4")
async def test_after_an_outage_a_confirmation_that_was_taken_back_is_not_sent(
    harness: NotificationsHarness, kafka_servers: str, topic_prefix: str
) -> None:
    """Confirmed and cancelled while nobody read the topic; the process finds both when it starts."""
    await harness.everybody()
    opened = facts.RoomOpened(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=1, opened_at=START
    )
    events: list[Any] = [
        opened,
        harness.session(facts.SessionReserved, confirm_by=START),
        harness.session(facts.SessionConfirmed, confirmed_by="provider"),
        harness.cancelled("provider"),
    ]
    earlier = datetime.now(UTC) - timedelta(seconds=70)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_servers)
    await producer.start()
    try:
        for number, event in enumerate(events):
            record = encode(event, sequence=number, cause=Cause(new_id(), new_id()), time=earlier)
            headers = [(name, value.encode()) for name, value in record.headers]
            await producer.send_and_wait(
                topic_prefix + record.topic, record.value, record.key.encode(), headers=headers
            )
        async with working(harness, kafka_servers, topic_prefix):
            await harness.inbox.wait_for(harness.ada, 1, seconds=60)
            await harness.settled()
    finally:
        await producer.stop()
    (mail,) = harness.inbox.mails
    assert mail["Subject"] == "Your provider cancelled your session."
    assert "text/calendar" not in [part.get_content_type() for part in mail.walk()]
    rows = await harness.rows("SELECT count(*) FROM news_readers WHERE 'booking.sessions.v1' = ANY (topics)")
    assert rows[0][0] > 0, "the consumer wrote down how far it has read"
