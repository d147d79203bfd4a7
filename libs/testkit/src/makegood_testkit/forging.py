"""Writes to a platform's topics directly, like an attacker with access to Kafka or with a service's key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from makegood_chassis.messaging.signatures import SIGNATURE, Signer, leaf
from makegood_contracts.envelope import Record
from makegood_contracts.topics import ServiceName
from makegood_devtools.event_keys import private_key_file

from makegood_testkit.platform import Platform

Headers = list[tuple[str, bytes]]


def sign(records: Sequence[Record], signer: Signer) -> list[Headers]:
    """The records' headers, with signatures."""
    every: list[Headers] = [[(name, text.encode()) for name, text in record.headers] for record in records]
    leaves = [leaf(one.topic, one.key.encode(), two, one.value) for one, two in zip(records, every, strict=True)]
    return [[*two, (SIGNATURE, signature)] for two, signature in zip(every, signer.sign(leaves), strict=True)]


def signer_of(platform: Platform, service: ServiceName) -> Signer:
    """The signer of a service's events. An attacker who has it has taken over the service."""
    path: Path = private_key_file(platform.home.event_keys, service)
    return Signer.of(path.read_text())


async def write(platform: Platform, *records: Record, signed_by: ServiceName | None = None) -> None:
    """Writes the records, unsigned or signed with the key of a service."""
    if signed_by is None:
        headers = [[(name, text.encode()) for name, text in record.headers] for record in records]
    else:
        headers = sign(records, signer_of(platform, signed_by))
    async with AIOKafkaProducer(bootstrap_servers=platform.stack.bootstrap) as producer:
        for record, its_headers in zip(records, headers, strict=True):
            topic = platform.topic_prefix + record.topic
            await producer.send(topic, record.value, record.key.encode(), headers=its_headers)
        await producer.flush()
