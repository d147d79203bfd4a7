"""The floors of latency: how fast this machine passes one event from commit to commit, with nothing but the clients.

`one_hop` is the floor of a missed session: commit, send the event, receive it, commit, hand one e-mail over. `two_hops` is the
floor of one client's booking: commit, send, receive, commit, send, receive, commit. The loops run one after the other, on the
same servers as the platform and with its durability (`synchronous_commit` on, `acks=all`), over connections that stay open.

    python benchmarks/latency_floor.py --server postgresql://postgres@127.0.0.1:5432/postgres --kafka 127.0.0.1:9092 --smtp 127.0.0.1:1025
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage

import aiosmtplib
import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from scratch import PAYLOAD, scratch_database

_TOPIC = "makegood-bench-latency"
_WARM_UP = 50
_SAVE = "INSERT INTO outbox (topic, key, payload) VALUES ('sessions', $1, $2)"

Step = Callable[[], Awaitable[object]]


class Broker:
    """A producer, and a consumer that waits for what it sends."""

    def __init__(self, address: str) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", linger_ms=0)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="latest")
        self._partition = TopicPartition(_TOPIC, 0)

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: str) -> AsyncIterator[Broker]:
        admin = AIOKafkaAdminClient(bootstrap_servers=address)
        await admin.start()
        await admin.create_topics([NewTopic(_TOPIC, 1, 1)])
        broker = cls(address)
        await broker._producer.start()
        await broker._consumer.start()
        try:
            broker._consumer.assign([broker._partition])
            await broker._consumer.seek_to_end()
            yield broker
        finally:
            await broker._consumer.stop()
            await broker._producer.stop()
            await admin.delete_topics([_TOPIC])
            await admin.close()

    async def pass_on(self) -> None:
        """Sends an event, and returns once it was received."""
        await self._producer.send_and_wait(_TOPIC, PAYLOAD, partition=0)
        await self._consumer.getone()


async def _time(steps: list[Step], rounds: int) -> dict[str, float]:
    """Milliseconds of all steps, one after the other."""
    taken: list[float] = []
    for _ in range(_WARM_UP + rounds):
        began = time.perf_counter()
        for step in steps:
            await step()
        taken.append((time.perf_counter() - began) * 1000)
    taken = sorted(taken[_WARM_UP:])
    return {"p50_ms": round(statistics.median(taken), 2), "p99_ms": round(taken[int(len(taken) * 0.99)], 2)}


def _mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "makegood@example.com", "robin@example.com", "Your session"
    message.set_content("The session did not take place. Your credit is back.\n" * 20)
    return message


async def measure(server_url: str, kafka: str, smtp: str, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of one hop with an e-mail, and of two hops."""
    host, _, port = smtp.rpartition(":")
    async with scratch_database(server_url, "makegood_bench_latency") as url, Broker.connected(kafka) as broker:
        database = await asyncpg.connect(url)
        mail = _mail()

        async def commit() -> None:
            await database.execute(_SAVE, str(uuid.uuid4()), PAYLOAD)

        async with aiosmtplib.SMTP(hostname=host, port=int(port)) as server:

            async def hand_over() -> None:
                await server.send_message(mail)

            one_hop = await _time([commit, broker.pass_on, commit, hand_over], rounds)
            two_hops = await _time([commit, broker.pass_on, commit, broker.pass_on, commit], rounds)
        await database.close()
    return {"one_hop": one_hop, "two_hops": two_hops}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="PostgreSQL with the right to create databases")
    parser.add_argument("--kafka", required=True, help="Kafka's bootstrap address")
    parser.add_argument("--smtp", required=True, help="host and port of a mail server")
    parser.add_argument("--rounds", type=int, default=500)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(measure(options.server, options.kafka, options.smtp, options.rounds)), indent=1))


if __name__ == "__main__":
    main()
