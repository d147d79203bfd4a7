"""A process is killed (SIGKILL) between any two steps of consume → effect → outbox → send → mark → offset commit.

The process that dies and the one that takes over are the real ones, with every part of the chassis in them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import psutil
import pytest
from makegood_chassis.database import Database
from makegood_chassis.messaging.failpoints import Failpoint
from makegood_contracts.ids import new_id
from makegood_contracts.topics import RESERVATIONS
from makegood_stack.ports import free_port
from makegood_testkit.waiting import eventually

from .messaging_example import session_event
from .messaging_helpers import effects, first_of_each, produce, publish, read_topic, record_of, waiting_rows

EXAMPLE = Path(__file__).parent / "messaging_example.py"
NOT_ON_THE_WAY = (
    "deadlines.taken",
    "delivery.attempted",
    "statement.committed",
    "lease.renewed",
    "mail.answered",
    "whatsapp.answered",
    "payment.answered",
)
"""Failpoints that an event does not pass between its consumption and what it publishes."""
KEYS = 8
VERSIONS = 5


@asynccontextmanager
async def process(
    url: str, servers: str, prefix: str, role: str = "all", **extra: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The example service as a process of its own, and the address of its probes."""
    port, probes = free_port(), free_port()
    environment = {
        **os.environ,
        "EXAMPLE_DATABASE_URL": url,
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "KAFKA_TOPIC_PREFIX": prefix,
        "JWKS_URL": "/nowhere.json",
        "HTTP_PORT": str(port),
        "PROBE_PORT": str(probes),
        "MAKEGOOD_ENVIRONMENT": "development",
        **extra,
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), role, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield running, f"http://127.0.0.1:{probes}"
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def ready(address: str, seconds: float = 40) -> None:
    async with httpx.AsyncClient() as client:

        async def answers() -> bool:
            try:
                return (await client.get(address + "/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, seconds=seconds, what="readiness")


@pytest.mark.slow
@pytest.mark.rule("REL-1", "REL-6")
@pytest.mark.parametrize("point", [point for point in get_args(Failpoint) if point not in NOT_ON_THE_WAY])
async def test_a_kill_between_two_steps_loses_nothing_and_repeats_no_effect(
    point: str, database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    keys = [new_id() for _ in range(KEYS)]
    records = [record_of(session_event(key, version), version) for version in range(1, VERSIONS + 1) for key in keys]
    half = len(records) // 2
    await produce(kafka_servers, topic_prefix, records[:half])
    async with process(database_url, kafka_servers, topic_prefix, EXAMPLE_CRASH=point) as (victim, _):
        assert await asyncio.wait_for(victim.wait(), 60) == -signal.SIGKILL, f"{point} was never reached"
    await produce(kafka_servers, topic_prefix, records[half:])
    async with process(database_url, kafka_servers, topic_prefix) as (heir, address):
        await ready(address)
        await settled(database, len(records))
        heir.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(heir.wait(), 15) == 0
    done = await effects(database)
    assert sorted(row[0] for row in done) == sorted(record.id for record in records), "each effect once"
    wanted = {key: list(range(1, VERSIONS + 1)) for key in keys}
    order: dict[str, list[int]] = {}
    for _, key, sequence in done:
        order.setdefault(key, []).append(sequence)
    assert order == wanted
    assert first_of_each(await read_topic(kafka_servers, topic_prefix + RESERVATIONS.name)) == wanted


async def settled(database: Database, count: int) -> None:
    async def all_done() -> bool:
        return len(await effects(database)) >= count and await waiting_rows(database) == 0

    await eventually(all_done, seconds=60, what="all effects and an empty outbox")


@pytest.mark.extended
@pytest.mark.rule("REL-1", "REL-6")
async def test_a_leader_that_was_paused_for_longer_than_its_lease_loses_nothing_and_keeps_the_order(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    """It stands still with a batch in its hands, between the look at its lease and the broker. Meanwhile another process takes over
    its lease and its partitions. When it goes on, it sends the batch again, and then sees that it does not lead any more."""
    keys = [new_id() for _ in range(KEYS)]
    records = [record_of(session_event(key, version), version) for version in range(1, VERSIONS + 1) for key in keys]
    third = len(records) // 3
    await produce(kafka_servers, topic_prefix, records[:third])
    async with process(database_url, kafka_servers, topic_prefix, EXAMPLE_PAUSE="relay.sending") as (paused, _):
        await eventually(lambda: psutil.Process(paused.pid).status() == psutil.STATUS_STOPPED, seconds=60)
        in_hand = await waiting_rows(database)
        assert in_hand
        async with process(database_url, kafka_servers, topic_prefix) as (heir, address):
            await ready(address)
            await produce(kafka_servers, topic_prefix, records[third : 2 * third])
            await settled(database, 2 * third)
            paused.send_signal(signal.SIGCONT)
            await produce(kafka_servers, topic_prefix, records[2 * third :])
            await settled(database, len(records))
            for one in (paused, heir):
                one.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(one.wait(), 15) == 0
    done = await effects(database)
    assert sorted(row[0] for row in done) == sorted(record.id for record in records), "each effect once"
    published = await read_topic(kafka_servers, topic_prefix + RESERVATIONS.name)
    assert first_of_each(published) == {key: list(range(1, VERSIONS + 1)) for key in keys}
    assert len(published) - len(records) <= in_hand, "only the batch in hand was sent again"


@pytest.mark.slow
@pytest.mark.rule("REL-1")
async def test_a_kill_with_deadlines_in_hand_handles_each_once(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    ids = [new_id() for _ in range(50)]
    async with database.transaction(_cause()) as unit:
        for entity in ids:
            unit.set_deadline("example", entity, unit.now)
    async with process(database_url, kafka_servers, topic_prefix, EXAMPLE_CRASH="deadlines.taken") as (victim, _):
        assert await asyncio.wait_for(victim.wait(), 60) == -signal.SIGKILL
    assert await effects(database) == []
    async with process(database_url, kafka_servers, topic_prefix):
        await settled(database, 50)
    assert sorted(row[1] for row in await effects(database)) == sorted(ids)


@pytest.mark.slow
@pytest.mark.rule("REL-8")
async def test_sigterm_sends_what_is_there_hands_over_and_ends_in_time(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    async with process(database_url, kafka_servers, topic_prefix) as (one, address):
        await ready(address)
        records = [record_of(session_event(new_id())) for _ in range(300)]
        await produce(kafka_servers, topic_prefix, records)
        await eventually(lambda: effects(database))
        one.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(one.wait(), 15) == 0
    assert await waiting_rows(database) == 0, "what was handled was sent"
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT expires_at <= clock_timestamp() FROM leases WHERE name = 'relay'")
        assert await queries.fetch_value("SELECT count(*) FROM processes") == 0
    async with process(database_url, kafka_servers, topic_prefix):
        await settled(database, 300)
    assert len(await effects(database)) == 300


@pytest.mark.slow
async def test_a_process_starts_without_its_servers_and_says_so(database_url: str) -> None:
    async with process(database_url, f"127.0.0.1:{free_port()}", "") as (one, address), httpx.AsyncClient() as client:

        async def tells() -> Any:
            try:
                answer = await client.get(address + "/readyz")
            except httpx.TransportError:
                return False
            return answer.status_code == 503 and "does not answer" in answer.json()["problems"].get("kafka", "")

        await eventually(tells, seconds=40)
        assert (await client.get(address + "/livez")).status_code == 200
        one.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(one.wait(), 15) == 0


@pytest.mark.slow
async def test_the_serving_role_wakes_the_working_one(
    database: Database, database_url: str, kafka_servers: str, topic_prefix: str
) -> None:
    async with (
        process(database_url, kafka_servers, topic_prefix, "serve") as (_, serving),
        process(database_url, kafka_servers, topic_prefix, "work") as (_, working),
    ):
        await ready(serving)
        await ready(working)
        await publish(database, session_event("s"))
        await settled(database, 1)


async def test_settings_that_cannot_work_are_refused_with_advice_and_without_secrets(database_url: str) -> None:
    environment = {"PATH": os.environ["PATH"], "EXAMPLE_DATABASE_URL": "mysql://u:hunter2@h/d", "STOP_TIMEOUT": "20"}
    refused = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), "all", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, told = await refused.communicate()
    assert refused.returncode == 2
    assert "EXAMPLE_DATABASE_URL" in told.decode()
    assert "postgresql://" in told.decode()
    assert "KAFKA_BOOTSTRAP_SERVERS" in told.decode()
    assert "hunter2" not in told.decode()


def _cause() -> Any:
    from .messaging_helpers import cause

    return cause()
