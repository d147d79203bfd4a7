"""Writes generated events onto topics, signed, as the services' relays would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from makegood_chassis.database import PublishedRow
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.signatures import Signer
from makegood_contracts.envelope import Record
from makegood_contracts.topics import BY_NAME, SERVICES, TOPICS, ServiceName
from makegood_devtools.errors import UserError
from makegood_stack import topics

_BATCH: Final = 2000
"""Records that are sent together; all that is kept in memory of them."""


async def prepare(brokers: Brokers, prefix: str) -> None:
    """Makes the topics. Raises UserError if a service reads topics with this prefix, or if there are events on them."""
    admin = AIOKafkaAdminClient(**kafka_arguments(brokers))
    await admin.start()
    try:
        groups = {group for group, *_ in await admin.list_consumer_groups()}
    finally:
        await admin.close()
    readers = [service for service in SERVICES if prefix + service in groups]
    if readers:
        raise UserError(
            f"services read the topics with the prefix {prefix!r} ({', '.join(readers)}). They would act on made-up events. "
            "Choose another --prefix",
            exit_code=2,
        )
    await topics.provide(brokers, topics.wanted(prefix))
    taken = await _with_records(brokers, [prefix + topic.name for topic in TOPICS])
    if taken:
        raise UserError(
            f"there are records on {len(taken)} topics with the prefix {prefix!r}, such as {taken[0]}. "
            "A year is only written to empty topics. Choose another --prefix",
            exit_code=2,
        )


async def _with_records(brokers: Brokers, names: list[str]) -> list[str]:
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(*names, **kafka_arguments(brokers), group_id=None)
    await consumer.start()
    try:
        partitions = [TopicPartition(n, number) for n in names for number in consumer.partitions_for_topic(n) or ()]
        ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    return sorted({str(partition.topic) for partition, end in ends.items() if end})


async def send(
    records: Iterator[Record],
    brokers: Brokers,
    prefix: str,
    signers: Mapping[ServiceName, Signer],
    sent: Callable[[int], None],
) -> int:
    """Sends all records, in the order of each topic. Returns how many. `sent` is told after each batch how many it had.

    Raises UserError if the broker refuses some.
    """
    senders = {service: _Sender(brokers, prefix, signers[service], sent) for service in SERVICES}
    try:
        for record in records:
            await senders[BY_NAME[record.topic].owner].add(record)
        for sender in senders.values():
            await sender.flush()
        return sum(sender.count for sender in senders.values())
    finally:
        for sender in senders.values():
            await sender.close()


class _Sender:
    """What one service publishes."""

    def __init__(self, brokers: Brokers, prefix: str, signer: Signer, sent: Callable[[int], None]) -> None:
        self._producer = BatchProducer(brokers, prefix=prefix, client_id="makegood-year", signer=signer)
        self._sent = sent
        self._rows: list[PublishedRow] = []
        self.count = 0

    async def add(self, record: Record) -> None:
        self.count += 1
        self._rows.append(PublishedRow(self.count, record, None, datetime.now(UTC)))
        if len(self._rows) >= _BATCH:
            await self._send()

    async def flush(self) -> None:
        while self._rows:
            await self._send()

    async def close(self) -> None:
        await self._producer.close()

    async def _send(self) -> None:
        outcome = await self._producer.send(self._rows)
        for topic, error in outcome.failed.items():
            raise UserError(f"the broker did not take events of {topic}: {error or type(error).__name__}")
        done = set(outcome.sent)
        # What did not fit into a partition's batch comes first in the next.
        self._rows = [row for row in self._rows if row.id not in done]
        self._sent(len(done))
