"""All four services in production, on servers that ask everybody for TLS and a login, and refuse what was not granted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition
from makegood_contracts.kafka_users import CONSUMES
from makegood_contracts.topics import SERVICES, TOPICS, ServiceName
from makegood_testkit.production import PASSWORD
from makegood_testkit.waiting import eventually, until
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from .missed_session import missed_session
from .protected_platform import Protected, protected_platform

pytestmark = [pytest.mark.rule("SEC-7"), pytest.mark.extended]

MISSED = "Your provider missed your scheduled session."


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    with protected_platform(tmp_path_factory.mktemp("protected")) as running:
        for service in SERVICES:
            until(lambda: running.ready(service), seconds=90, what=f"{service} is ready")  # noqa: B023 - waited for here
        yield running


async def test_a_missed_session_is_made_good_over_protected_links_alone(platform: Protected) -> None:
    """From the schedule to the e-mail: each service sends and hears events, and everything is encrypted."""

    async def move(by: timedelta) -> None:
        platform.move_clock(by)

    booked = await missed_session(platform.person, move)
    member = platform.person("member", "anna", "credits")
    credits = dict((await member.get("/v1/members/anna/credits")).body)
    assert (credits["available"], credits["held"]) == (4, 0)
    assert booked["credit"]["state"] == "returned"
    await eventually(lambda: MISSED in platform.mails.subjects(), what="the e-mail")
    for service in SERVICES:
        await eventually(lambda: f"makegood-{service}".encode() in platform.traces.received, what="spans")  # noqa: B023
    await _every_session_is_encrypted(platform)
    await _signals_are_heard(platform)
    await _tell_the_audit_the_time(platform)
    audit = _makegood(platform, "auditor", "audit", "--json")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert json.loads(audit.stdout)["violations"] == []
    redriven = _makegood(platform, "redrive", "topics", "redrive", "credits")
    assert (redriven.returncode, redriven.stdout) == (0, "0 dead letters of credits sent again\n"), redriven.stderr


async def _tell_the_audit_the_time(platform: Protected) -> None:
    """It reads the offset of development from the databases, which services ignore in production."""
    ahead = float(platform.clock_file.read_text())
    for service in SERVICES:
        owner = await asyncpg.connect(platform.database_url(service, "_owner"))
        try:
            await owner.execute("UPDATE clock SET offset_seconds = $1", ahead)
        finally:
            await owner.close()


async def _every_session_is_encrypted(platform: Protected) -> None:
    connection = await asyncpg.connect(f"postgresql://postgres:secret@127.0.0.1:{platform.database_port}/postgres")
    try:
        sessions = await connection.fetch(
            "SELECT a.usename::text AS login, s.ssl FROM pg_stat_activity AS a JOIN pg_stat_ssl AS s USING (pid) "
            "WHERE a.usename <> 'postgres'"
        )
    finally:
        await connection.close()
    assert {*SERVICES} <= {row["login"] for row in sessions}
    assert all(row["ssl"] for row in sessions)


async def _signals_are_heard(platform: Protected) -> None:
    for service in SERVICES:
        async with _redis(platform, service) as redis:
            channel = f"makegood:{service}:signals"
            assert (await redis.pubsub_numsub(channel))[0][1] >= 1, service


def _makegood(platform: Protected, user: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, with the logins that the guide gives it."""
    databases = {
        f"{service.upper()}_{job}DATABASE_URL": platform.database_url(service, "_auditor")
        for service in SERVICES
        for job in ("", "AUDITOR_")
    }
    environment = {
        "PATH": os.environ["PATH"],
        "MAKEGOOD_HOME": str(platform.folder),
        "MAKEGOOD_ENVIRONMENT": "production",
        "REDIS_URL": platform.redis_url("booking"),
        **platform.common,
        **platform.cluster.variables(user),
        **databases,
    }
    command = [sys.executable, "-m", "makegood_cli.main", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _redis(platform: Protected, service: str) -> Redis:
    return Redis.from_url(platform.redis_url(service), ssl_ca_certs=str(platform.authority.file))


# -- what each service is refused


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_writes_no_topic_of_another(service: ServiceName, platform: Protected) -> None:
    refused = set()
    connection = platform.cluster.connection(service)
    producer = AIOKafkaProducer(
        **connection.arguments(), enable_idempotence=True, acks="all", request_timeout_ms=10_000
    )
    await producer.start()
    try:
        for topic in TOPICS:
            try:
                # With a key, without which a compacted topic takes nothing from anybody.
                await producer.send_and_wait(topic.name, b"forged", key=b"forged", partition=0)
            except TopicAuthorizationFailedError:
                refused.add(topic.name)
    finally:
        await producer.stop()
    assert refused == {topic.name for topic in TOPICS if topic.owner != service}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_no_topic_that_it_does_not_handle(service: ServiceName, platform: Protected) -> None:
    arguments = platform.cluster.connection(service).arguments()
    consumer = AIOKafkaConsumer(**arguments, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        visible = await consumer.topics()
        assert visible == {topic.name for topic in TOPICS if topic in CONSUMES[service] or topic.owner == service}
        # The others cannot even be seen, so there is nothing to fetch from.
        readable = {name for name in visible if await _is_read(consumer, name)}
    finally:
        await consumer.stop()
    assert readable == {topic.name for topic in CONSUMES[service]}


async def _is_read(consumer: AIOKafkaConsumer, topic: str) -> bool:
    """A fetch that the broker answers tells the topic's end, even if there is nothing in it."""
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    async with asyncio.timeout(30):
        while consumer.highwater(place) is None:
            try:
                await consumer.getmany(place, timeout_ms=100)
            except TopicAuthorizationFailedError:
                return False
    return True


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_joins_no_group_of_another(service: ServiceName, platform: Protected) -> None:
    connection = platform.cluster.connection(service)
    for group in (*(other for other in SERVICES if other != service), f"{service}-2"):
        consumer = AIOKafkaConsumer(CONSUMES[service][0].name, **connection.arguments(), group_id=group)
        try:
            with pytest.raises(GroupAuthorizationFailedError):
                await consumer.start()
        finally:
            with suppress(Exception):
                await consumer.stop()


@pytest.mark.parametrize("service", SERVICES)
async def test_no_login_enters_another_services_database_or_its_own_without_tls(
    service: ServiceName, platform: Protected
) -> None:
    for job in ("", "_owner", "_pruner", "_auditor"):
        for other in SERVICES:
            if other != service:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await asyncpg.connect(platform.database_url(service, job, database=other))
        in_the_clear = platform.database_url(service, job).partition("?")[0] + "?sslmode=disable"
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
            await asyncpg.connect(in_the_clear)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(platform.database_url(service, job).replace(PASSWORD, PASSWORD[::-1]))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_does_nothing_in_redis_but_wake_its_own_processes(
    service: ServiceName, platform: Protected
) -> None:
    other = next(each for each in SERVICES if each != service)
    async with _redis(platform, service) as redis:
        await redis.publish(f"makegood:{service}:signals", b"[]")
        await redis.zadd(f"makegood:{service}:signals:somebody", {"a": 1})
        command: Any = redis.execute_command
        for words in (
            ("PUBLISH", f"makegood:{other}:signals", "[]"),
            ("SUBSCRIBE", f"makegood:{other}:signals"),
            ("PSUBSCRIBE", "*"),
            ("ZADD", f"makegood:{other}:signals:somebody", 1, "a"),
            ("ZRANGE", f"makegood:{other}:signals:somebody", 0, -1),
            ("SET", f"makegood:{service}:x", "1"),
            ("GET", f"makegood:{service}:x"),
            ("DEL", f"makegood:{service}:signals:somebody"),
            ("KEYS", "*"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
            ("CLIENT", "LIST"),
            ("EVAL", "return 1", 0),
            ("SHUTDOWN", "NOSAVE"),
        ):
            with pytest.raises(NoPermissionError):
                await command(*words)


def test_a_process_with_another_services_user_says_what_is_missing(platform: Protected, tmp_path: Path) -> None:
    """Nothing is lost: it waits, and its readiness says that it may not join its group."""
    availability, ports = platform.environment("availability"), platform.ports["availability"]
    wrong = availability | platform.cluster.variables("data-team")
    platform.processes["availability"].terminate()
    platform.processes["availability"].wait(20)
    with (tmp_path / "log").open("wb") as log:
        script = str(Path(__file__).with_name("clocked_service.py"))
        process = subprocess.Popen([sys.executable, script, "availability", "all"], env=wrong, stdout=log, stderr=log)
        platform.processes["availability"] = process

        def told() -> str:
            with suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{ports[1]}/readyz", timeout=5).text
            return ""

        until(lambda: "GroupAuthorizationFailed" in told(), seconds=60, what="the reason in /readyz")
    assert process.poll() is None
