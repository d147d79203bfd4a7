"""Kafka Connect as docs/how-to/kafka-connect.md says: a plain worker whose own user may read, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from kafka.admin import KafkaAdminClient
from makegood_chassis.kafka_connection import kafka_arguments
from makegood_contracts.events import InvoiceState, SessionState
from makegood_contracts.publishing.examples import record_of
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.ports import free_port
from makegood_testkit.certificates import Authority
from makegood_testkit.java_tools import connect_jars, java
from makegood_testkit.waiting import until

from .kafka_cluster import ROOT, Cluster, start_cluster

pytestmark = [pytest.mark.rule("SEC-7"), pytest.mark.extended]
CONFIGURATION = ROOT / "deploy/kafka/connect"
GROUP = "connect-makegood-states"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with EmbeddedServers() as servers:
        yield start_cluster(
            servers, Authority(tmp_path_factory.mktemp("authority")), tmp_path_factory.mktemp("passwords")
        )


@pytest.fixture
def worker(cluster: Cluster, tmp_path: Path) -> Callable[..., AbstractContextManager[Callable[[], Any]]]:
    """`with worker(file, …) as status` runs a worker with these connectors; `status()` is the first one's state and task's trace."""

    @contextmanager
    def run(*connectors: Path) -> Iterator[Callable[[], Any]]:
        port, log = free_port(), tmp_path / "worker.log"
        login = cluster.variables("connect")
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": login["KAFKA_BOOTSTRAP_SERVERS"],
            "KAFKA_SSL_CAFILE": login["KAFKA_SSL_CAFILE"],
            "KAFKA_CONNECT_PASSWORD": login["KAFKA_SASL_PASSWORD"],
            "CONNECT_FOLDER": str(tmp_path),
            "CONNECT_PORT": str(port),
        }
        path = ":".join(map(str, connect_jars()))
        main = ("-cp", path, "org.apache.kafka.connect.cli.ConnectStandalone", CONFIGURATION / "worker.properties")
        name = connectors[0].read_text().split("name=", 1)[1].splitlines()[0]
        with java(*main, *connectors, log=log, folder=tmp_path, **variables) as process:

            def status() -> Any:
                assert process.poll() is None, log.read_text()[-4000:]
                try:
                    told = httpx.get(f"http://127.0.0.1:{port}/connectors/{name}/status", timeout=5, trust_env=False)
                except httpx.TransportError:
                    return None
                tasks = told.json().get("tasks") if told.status_code == httpx.codes.OK else None
                return (tasks[0]["state"], tasks[0].get("trace", "")) if tasks else None

            yield status

    return run


def publish(cluster: Cluster, *records: tuple[str, str, str, bytes | None]) -> None:
    """Writes (user, topic, key, value), each as that user."""

    async def send() -> None:
        for user, topic, key, value in records:
            async with AIOKafkaProducer(**kafka_arguments(cluster.connection(user))) as producer:
                await producer.send_and_wait(topic, value, key=key.encode())

    asyncio.run(send())


def committed(cluster: Cluster) -> int:
    """How many records the sink's group has behind it."""
    with closing(KafkaAdminClient(**cluster.administrator.arguments())) as client:
        offsets = client.list_group_offsets({GROUP: None})[GROUP]
    return sum(place.offset for place in offsets.values() if place.offset > 0)


def test_the_sink_writes_each_state_once_and_goes_on_where_it_stopped(
    cluster: Cluster, worker: Callable[..., Any], tmp_path: Path
) -> None:
    session, invoice = record_of(SessionState), record_of(InvoiceState)
    told = tmp_path / "states.jsonl"

    def lines() -> list[str]:
        return told.read_text().splitlines() if told.exists() else []

    sink = CONFIGURATION / "states-to-file.properties"
    publish(
        cluster,
        ("booking", session.topic, session.key, session.value),
        ("booking", session.topic, "somebody-erased", None),
        ("credits", invoice.topic, invoice.key, invoice.value),
    )
    with worker(sink) as status:
        until(lambda: status() is not None and len(lines()) == 2, seconds=120)
        until(lambda: committed(cluster) == 3, seconds=60)
    later = {**json.loads(session.value), "session_version": 4}
    publish(cluster, ("booking", session.topic, session.key, json.dumps(later).encode()))
    with worker(sink) as status:
        until(lambda: status() is not None and len(lines()) >= 3, seconds=120)
        until(lambda: committed(cluster) == 4, seconds=60)
    written = [json.loads(line) for line in lines()]
    assert sorted(map(str, written)) == sorted(map(str, [json.loads(session.value), json.loads(invoice.value), later]))


def test_the_sink_may_not_read_what_data_teams_may_not(
    cluster: Cluster, worker: Callable[..., Any], tmp_path: Path
) -> None:
    greedy = tmp_path / "greedy.properties"
    sink = (CONFIGURATION / "states-to-file.properties").read_text()
    greedy.write_text(
        sink.replace("makegood-states", "greedy").replace("booking.sessions.state.v1", "booking.access.v1")
    )
    with worker(greedy) as status:
        until(lambda: (status() or ("",))[0] == "FAILED", seconds=120)
        assert "TopicAuthorizationException" in status()[1]
        assert "booking.access.v1" in status()[1]
