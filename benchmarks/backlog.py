"""PERF-4: after an outage 100,000 sessions are missed at once; how fast does one process make them good?

The credits service's own worker takes `ProviderMissed` from its topic, once with batches of 500 events and once with one event a
transaction, both from a full topic, on the same servers. The figure is events a second of each, and their ratio.

    python benchmarks/backlog.py [--sessions 100000] [--single 3000]

Servers: those that the tests use (MAKEGOOD_TEST_SERVERS).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import ProviderMissed, SessionRequested
from makegood_contracts.ids import new_id
from makegood_contracts.topics import TOPICS
from makegood_devtools import keys
from makegood_stack.kafka import make_topics
from makegood_stack.ports import free_ports
from makegood_testkit.databases import Databases, settings_of
from makegood_testkit.servers import decide, servers

SESSIONS_OF_A_MEMBER = 10
"""The plan pays for twelve."""
START = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
LATER = timedelta(days=3, hours=1)
"""How far the development clock is moved before the sessions count as missed."""


def requested(session: str, member: str) -> Record:
    event = SessionRequested(
        session_id=session,
        room_id=session,
        member_id=member,
        provider_id="provider-1",
        starts_at=START,
        ends_at=START + timedelta(minutes=45),
        length_minutes=45,
        modality="video",
        time_zone="UTC",
        session_version=1,
        booked_by="member",
        hold_until=START + timedelta(days=30),
        policy_version=1,
    )
    return encode(event, sequence=1, cause=Cause(session, session))


def missed(session: str, member: str) -> Record:
    event = ProviderMissed(
        session_id=session,
        room_id=session,
        member_id=member,
        provider_id="provider-1",
        starts_at=START,
        ends_at=START + timedelta(minutes=45),
        length_minutes=45,
        modality="video",
        time_zone="UTC",
        session_version=2,
        absent_party="both",
        missed_at=START + timedelta(minutes=10),
        grace_minutes=10,
    )
    return encode(event, sequence=2, cause=Cause(session, session))


async def produce(kafka: str, prefix: str, records: list[Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5, max_batch_size=1 << 18)
    await producer.start()
    for start in range(0, len(records), 5000):
        sent = [
            await producer.send(
                prefix + record.topic,
                record.value,
                key=record.key.encode(),
                headers=[(name, value.encode()) for name, value in record.headers],
            )
            for record in records[start : start + 5000]
        ]
        await asyncio.gather(*sent)
    await producer.stop()


@asynccontextmanager
async def credits_service(
    environment: dict[str, str], role: str, batch: int = 500, *, probing: bool = False
) -> AsyncIterator[str]:
    """A process of the credits service; answers its address once it is ready, or where it answers probes."""
    port, probes = free_ports(2)
    ports = {"HTTP_PORT": str(port), "PROBE_PORT": str(probes)}
    settings = {**os.environ, **environment, **ports, "CONSUMER_BATCH": str(batch)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "makegood_credits", role, env=settings, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{probes}", trust_env=False) as http,
            asyncio.timeout(60),
        ):
            while True:
                try:
                    if (await http.get("/readyz")).is_success:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{probes if probing else port}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def count(url: str, state: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM holds WHERE state = $1", state))
    finally:
        await connection.close()


async def until(url: str, state: str, number: int) -> None:
    while await count(url, state) < number:
        await asyncio.sleep(0.1)


def client(base: str, identity: Path, role: str) -> httpx.AsyncClient:
    """Signed in with that role."""
    token = keys.token(identity, role, f"{role}-1")
    headers = {"Authorization": f"Bearer {token}", "X-Access-Reason": "support_request"}
    return httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=30)


async def enrol(base: str, identity: Path, number: int) -> list[str]:
    """Members, each with a plan of twelve credits."""
    run = uuid.uuid4().hex[:6]
    members = [f"member-{run}-{each}" for each in range(number)]
    body = {"plan_id": "sponsored-12", "starts_on": datetime.now(UTC).date().isoformat()}
    async with client(base, identity, "support") as http:
        for start in range(0, number, 32):
            some = members[start : start + 32]
            answers = await asyncio.gather(*(http.put(f"/v1/members/{one}/enrolment", json=body) for one in some))
            for answer in answers:
                answer.raise_for_status()
    return members


async def move_clock(base: str, identity: Path) -> None:
    async with client(base, identity, "ops") as http:
        body = {"offset_seconds": LATER.total_seconds()}
        (await http.put("/v1/credits/dev/clock", json=body)).raise_for_status()


@dataclass(frozen=True)
class Scratch:
    """A database and topics of credits for one measurement."""

    databases: Databases
    url: str
    prefix: str
    identity: Path
    environment: dict[str, str]

    @classmethod
    async def make(cls, kafka: str, postgres: str, folder: Path) -> Scratch:
        databases = Databases(postgres)
        url = await databases.make("credits")
        prefix = f"bench-{uuid.uuid4().hex[:8]}."
        await make_topics(kafka, [NewTopic(prefix + topic.name, topic.partitions, 1) for topic in TOPICS])
        identity = folder / "identity"
        keys.signing_key(identity)
        environment = {
            "MAKEGOOD_ENVIRONMENT": "development",
            **settings_of("credits", url),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC_PREFIX": prefix,
            "JWKS_URL": str(keys.write_jwks(identity, folder / "jwks.json")),
            "LOG_LEVEL": "WARNING",
            "PERSON_WORK": "1000",  # one person enrols all members
            "PERSON_WORK_BURST": "1000",
        }
        return cls(databases, url, prefix, identity, environment)


async def measure(kafka: str, postgres: str, sessions: int, batch: int, folder: Path) -> float:
    """Events a second of one worker that finds `sessions` missed sessions waiting."""
    scratch = await Scratch.make(kafka, postgres, folder)
    url, prefix, identity, environment = scratch.url, scratch.prefix, scratch.identity, scratch.environment
    pairs: list[tuple[str, str]]
    async with credits_service(environment, "all", 500) as base:
        members = await enrol(base, identity, -(-sessions // SESSIONS_OF_A_MEMBER))
        pairs = [(new_id(), members[number % len(members)]) for number in range(sessions)]
        await produce(kafka, prefix, [requested(*pair) for pair in pairs])
        await until(url, "held", sessions)
        await move_clock(base, identity)
    await produce(kafka, prefix, [missed(*pair) for pair in pairs])
    async with credits_service(environment, "work", batch):
        await until(url, "returned", 1)
        already, began = await count(url, "returned"), time.monotonic()
        await until(url, "returned", sessions)
        elapsed = time.monotonic() - began
    await scratch.databases.drop(url)
    return (sessions - already) / elapsed


async def compare(sessions: int, single: int, kafka: str, postgres: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one = await measure(kafka, postgres, single, 1, Path(folder))
        many = await measure(kafka, postgres, sessions, 500, Path(folder))
    print(
        json.dumps(
            {
                "events_per_second_batched": round(many),
                "events_per_second_one_a_transaction": round(one),
                "ratio": round(many / one, 1),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--single", type=int, default=3_000, help="sessions for the run with one event a transaction")
    options = parser.parse_args()
    with servers(decide()) as shared:
        uvloop.run(compare(options.sessions, options.single, shared.kafka(), shared.postgres()))


if __name__ == "__main__":
    main()
