"""PERF-6: rows/s of the outbox relay with signed events (and without, for comparison), and its lag at 500 events a second.

    python benchmarks/relay.py [--rows 200000] [--runs 3] [--rate 500] [--seconds 20]

Servers: `--postgres URL --kafka HOST:PORT` (a superuser's URL), or whatever the tests' fixtures would start. Lag is the time
from the row's insertion (before its commit) until the broker acknowledged it. The writer and the relay are two processes, as
`serve` and `work` are, so the wake-up is the NOTIFY.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import uvloop
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.messaging.batch_producer import BatchProducer, SendResult
from makegood_chassis.messaging.relay import Relay
from makegood_chassis.messaging.signatures import Signer
from makegood_chassis.messaging.tables import SCHEMA
from makegood_chassis.messaging.wake import OutboxWake
from makegood_contracts.envelope import Cause
from makegood_contracts.events import SessionConfirmed
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS
from makegood_testkit.servers import decide, servers

START = datetime(2030, 5, 6, 9, tzinfo=UTC)


def event(session_id: str) -> SessionConfirmed:
    return SessionConfirmed(
        session_id=session_id,
        room_id=new_id(),
        member_id="member-1",
        provider_id="provider-1",
        starts_at=START,
        ends_at=START + timedelta(minutes=50),
        length_minutes=50,
        modality="video",
        time_zone="Europe/Berlin",
        session_version=2,
        confirmed_by="provider",
    )


class TimedProducer(BatchProducer):
    """Notes each row's lag when the broker has it."""

    def __init__(self, servers: str, prefix: str, signer: Signer | None = None) -> None:
        super().__init__(servers, prefix=prefix, signer=signer)
        self.lags: list[float] = []
        self.sent = 0
        self.last = 0.0

    async def send(self, rows: Any) -> SendResult:
        outcome = await super().send(rows)
        now = datetime.now(UTC)
        self.sent += len(outcome.sent)
        self.last = time.perf_counter()
        if len(self.lags) < 200_000:
            self.lags.extend((now - row.created_at).total_seconds() for row in rows)
        return outcome


async def fresh_database(admin: str) -> str:
    name = f"bench_relay_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    url = admin.rsplit("/", 1)[0] + "/" + name
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()
    return url


async def drop_database(admin: str, url: str) -> None:
    connection = await asyncpg.connect(admin)
    await connection.execute(f'DROP DATABASE "{url.rsplit("/", 1)[1]}" WITH (FORCE)')
    await connection.close()


async def make_topics(servers: str, prefix: str) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=servers)
    await client.start()
    await client.create_topics([NewTopic(prefix + SESSIONS.name, SESSIONS.partitions, 1)])
    await client.close()


async def fill(url: str, rows: int) -> None:
    database = Database(url, Clock(), pool_size=2)
    await database.open()
    for start in range(0, rows, 1000):
        async with database.transaction(Cause(new_id(), new_id())) as unit:
            for _ in range(min(1000, rows - start)):
                unit.publish(event(new_id()), sequence=1)
    await database.close()


async def throughput(
    url: str, servers: str, prefix: str, rows: int, batch: int, signer: Signer | None = None
) -> tuple[float, float]:
    """Rows/s over a full outbox, and the relay's own processor time for a row in microseconds."""
    await fill(url, rows)
    database = Database(url, Clock(), pool_size=4)
    await database.open()
    producer = TimedProducer(servers, prefix, signer)
    await producer.open()
    relay = Relay(database, producer, holder="bench", batch=batch)
    started, worked = time.perf_counter(), time.process_time()
    running = asyncio.create_task(relay.run())
    while producer.sent < rows:
        await asyncio.sleep(0.01)
    seconds, busy = producer.last - started, time.process_time() - worked
    relay.stop()
    await running
    async with database.reading() as queries:
        left = await queries.fetch_value("SELECT count(*) FROM outbox")
    await database.close()
    if left:
        raise SystemExit(f"{left} rows were left")
    return rows / seconds, busy / rows * 1e6


async def write_at(url: str, rate: float, seconds: float) -> None:
    """One event a transaction at an even rate, a few at once."""
    database = Database(url, Clock(), pool_size=8)
    await database.open()
    wake = OutboxWake(url, listen=False)
    database.on_publish.append(wake.published)
    waking = asyncio.create_task(wake.run())

    async def one() -> None:
        async with database.transaction(Cause(new_id(), new_id())) as unit:
            unit.publish(event(new_id()), sequence=1)

    started = time.perf_counter()
    running: set[asyncio.Task[None]] = set()
    for number in range(int(rate * seconds)):
        if (pause := started + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(one())
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    waking.cancel()
    with suppress(asyncio.CancelledError):
        await waking
    await database.close()


async def lag(url: str, servers: str, prefix: str, rate: float, seconds: float) -> list[float]:
    database = Database(url, Clock(), pool_size=4)
    await database.open()
    producer = TimedProducer(servers, prefix, Signer(Ed25519PrivateKey.generate()))
    relay = Relay(database, producer, holder="bench")
    running = asyncio.create_task(relay.run())
    waking = asyncio.create_task(relay.wake.run())
    while not relay.leading:
        await asyncio.sleep(0.01)
    writer = await asyncio.create_subprocess_exec(sys.executable, __file__, "--write", json.dumps([url, rate, seconds]))
    if await writer.wait():
        raise SystemExit("the writer could not keep up")
    while producer.sent < int(rate * seconds):
        await asyncio.sleep(0.01)
    relay.stop()
    await running
    waking.cancel()
    await database.close()
    return producer.lags[int(rate) :]


async def measure(arguments: argparse.Namespace, postgres: str, kafka: str) -> None:
    rates, p50, p99 = [], [], []
    signer = Signer(Ed25519PrivateKey.generate())
    for _ in range(arguments.runs):
        prefix = f"bench-{uuid.uuid4().hex[:8]}."
        await make_topics(kafka, prefix)
        url = await fresh_database(postgres)
        try:
            unsigned, before = await throughput(url, kafka, prefix, arguments.rows, arguments.batch)
            signed, after = await throughput(url, kafka, prefix, arguments.rows, arguments.batch, signer)
            rates.append(signed)
            lags = sorted(await lag(url, kafka, prefix, arguments.rate, arguments.seconds))
        finally:
            await drop_database(postgres, url)
        p50.append(lags[len(lags) // 2] * 1000)
        p99.append(lags[int(len(lags) * 0.99)] * 1000)
        print(
            f"unsigned {unsigned:,.0f} rows/s, {before:.1f} us of processor a row; signed {signed:,.0f}, {after:.1f} us "
            f"({signed / unsigned:.2f} of it)"
        )
        print(f"{rates[-1]:,.0f} rows/s   lag at {arguments.rate:g}/s: p50 {p50[-1]:.1f} ms  p99 {p99[-1]:.1f} ms")
    print(
        f"median of {arguments.runs}: {statistics.median(rates):,.0f} rows/s, "
        f"p50 {statistics.median(p50):.1f} ms, p99 {statistics.median(p99):.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgres", default=os.environ.get("BENCH_POSTGRES_URL"))
    parser.add_argument("--kafka", default=os.environ.get("BENCH_KAFKA_SERVERS"))
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        uvloop.run(write_at(*json.loads(arguments.write)))
        return
    with ExitStack() as stack:
        postgres, kafka = arguments.postgres, arguments.kafka
        if not (postgres and kafka):
            shared = stack.enter_context(servers(decide()))
            postgres, kafka = shared.postgres(), shared.kafka()
        uvloop.run(measure(arguments, postgres, kafka))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, subprocess.SubprocessError):
        main()
