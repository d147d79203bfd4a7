"""Kafka behind TLS, with logins and with certificates: the real broker, and every client of the chassis."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from makegood_chassis.database import Database
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.redrive import list_letters
from makegood_contracts.topics import TOPICS
from makegood_stack import kafka
from makegood_stack.embedded import EmbeddedServers, run_apart
from makegood_stack.ports import free_port
from makegood_testkit.certificates import Authority
from makegood_testkit.waiting import eventually

from .messaging_example import session_event
from .messaging_helpers import effects, publish, waiting_rows
from .test_crashes import EXAMPLE, process, ready

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
LOGIN, PASSWORD = "availability", "kX9-vT2qLm7_Rb4wZc"


@dataclass(frozen=True)
class Broker:
    """Two ways in: with a login, and with a certificate whose key has a password."""

    by_login: KafkaConnection
    by_certificate: KafkaConnection
    authority: Authority


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    server, client = authority.issue("kafka"), authority.issue("availability", password=PASSWORD)
    port = free_port()
    protection = kafka.Protection(server.both, authority.file, port, {LOGIN: PASSWORD})
    by_login = KafkaConnection("", "SASL_SSL", username=LOGIN, password=PASSWORD, ca_file=str(authority.file))
    by_certificate = KafkaConnection(
        f"127.0.0.1:{port}",
        "SSL",
        ca_file=str(authority.file),
        certificate_file=str(client.certificate),
        key_file=str(client.key),
        key_password=PASSWORD,
    )
    with EmbeddedServers() as servers:
        by_login = replace(by_login, servers=servers.kafka(protection, by_login).url)
        topics = [NewTopic(prefix + t.name, 1, 1) for prefix in ("login.", "certificate.") for t in TOPICS]
        run_apart(kafka.make_topics(by_login, topics))
        yield Broker(by_login, by_certificate, authority)


def variables(connection: KafkaConnection) -> dict[str, str]:
    values = {
        "KAFKA_SECURITY_PROTOCOL": connection.protocol,
        "KAFKA_SASL_USERNAME": connection.username,
        "KAFKA_SASL_PASSWORD": connection.password,
        "KAFKA_SSL_CAFILE": connection.ca_file,
        "KAFKA_SSL_CERTFILE": connection.certificate_file,
        "KAFKA_SSL_KEYFILE": connection.key_file,
        "KAFKA_SSL_KEY_PASSWORD": connection.key_password,
    }
    return {name: value for name, value in values.items() if value}


@pytest.mark.parametrize("way", ["login", "certificate"])
async def test_consumer_and_relay_work_through_tls(
    way: str, broker: Broker, database: Database, database_url: str
) -> None:
    """From the outbox through the relay to the topic, and from the topic through the consumer to the effect."""
    connection = broker.by_login if way == "login" else broker.by_certificate
    async with process(database_url, connection.servers, f"{way}.", **variables(connection)) as (_, address):
        await ready(address)
        for number in range(20):
            await publish(database, session_event(f"s{number}"))

        async def done() -> bool:
            return len(await effects(database)) == 20 and await waiting_rows(database) == 0

        await eventually(done, seconds=40)


@pytest.mark.parametrize("way", ["login", "certificate"])
async def test_dead_letters_are_read_through_tls(way: str, broker: Broker) -> None:
    connection = broker.by_login if way == "login" else broker.by_certificate
    letters = [letter async for letter in list_letters(connection, "availability", prefix=f"{way}.")]
    assert letters == []


async def test_the_job_that_makes_topics_and_the_command_line_take_the_same_variables(broker: Broker) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")},
        **variables(broker.by_login),
        "KAFKA_BOOTSTRAP_SERVERS": broker.by_login.servers,
        "KAFKA_TOPIC_PREFIX": "job.",
        "MAKEGOOD_ENVIRONMENT": "production",
    }
    job = await _run(sys.executable, str(ROOT / "deploy/kafka/make_topics.py"), environment=environment)
    assert "job.booking.sessions.v1" in job
    makegood = str(Path(sys.executable).with_name("makegood"))
    shown = await _run(makegood, "topics", "describe", "booking.sessions.v1", environment=environment)
    assert re.search(r"0 events in \d+ partitions", shown)
    refused = await _run(
        sys.executable,
        str(ROOT / "deploy/kafka/make_topics.py"),
        environment={
            **environment,
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        },
        code=2,
    )
    assert "KAFKA_SECURITY_PROTOCOL: SASL_PLAINTEXT" in refused


async def _run(*command: str, environment: dict[str, str], code: int = 0) -> str:
    running = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await running.communicate()
    assert running.returncode == code, said.decode()
    return said.decode()


def _wrong(broker: Broker, tmp_path: Path) -> dict[str, KafkaConnection]:
    stranger = Authority(tmp_path, "Somebody else")
    forged = stranger.issue("availability")
    own = broker.authority.issue("untrusting")
    return {
        "password": replace(broker.by_login, password="wrong" * 5),
        "login": replace(broker.by_login, username="nobody"),
        "mechanism": replace(broker.by_login, mechanism="PLAIN"),
        "plaintext": KafkaConnection(broker.by_login.servers),
        "login in the clear": replace(broker.by_login, protocol="SASL_PLAINTEXT"),
        "no login": replace(broker.by_login, protocol="SSL"),
        "no certificate": replace(broker.by_certificate, certificate_file="", key_file=""),
        "certificate of another authority": replace(
            broker.by_certificate, certificate_file=str(forged.certificate), key_file=str(forged.key)
        ),
        "server of another authority": replace(
            broker.by_certificate,
            ca_file=str(stranger.file),
            certificate_file=str(own.certificate),
            key_file=str(own.key),
        ),
        "server of another name": replace(
            broker.by_login, servers=broker.by_login.servers.replace("127.0.0.1", "localhost")
        ),
    }


async def test_nobody_else_gets_in_and_no_other_server_is_talked_to(broker: Broker, tmp_path: Path) -> None:
    """The producer of the relay, with each thing wrong; aiokafka says so in different ways, but it never connects."""
    connected, told = [], []
    for what, connection in _wrong(broker, tmp_path).items():
        producer = BatchProducer(connection, ack_timeout=4.0)
        try:
            await producer.open()
            connected.append(what)
        except Exception as error:
            told.append(repr(error))
        finally:
            await producer.close()
    assert connected == []
    assert PASSWORD not in "".join(told)


async def test_a_wrong_password_shows_in_the_readiness_and_never_in_the_log(
    broker: Broker, database_url: str, tmp_path: Path
) -> None:
    canary = "Gr4ssh0pper" * 2
    connection = replace(broker.by_login, password=canary)
    log = tmp_path / "log"
    environment: dict[str, Any] = {
        **os.environ,
        "MAKEGOOD_ENVIRONMENT": "development",
        "EXAMPLE_DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": connection.servers,
        "KAFKA_TOPIC_PREFIX": "login.",
        "JWKS_URL": "/nowhere.json",
        "HTTP_PORT": str(free_port()),
        **variables(connection),
    }
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable, str(EXAMPLE), "work", env=environment, stdout=output, stderr=output
        )
        try:
            await eventually(lambda: b"started" in log.read_bytes(), seconds=40)
            await asyncio.sleep(3)
            assert running.returncode is None, "it goes on trying"
        finally:
            running.kill()
            await running.wait()
    assert canary.encode() not in log.read_bytes()
