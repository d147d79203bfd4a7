"""Reads topics from where the tables end, and commits rows in chunks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pyarrow as pa
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_chassis.messaging.reading import Polled, RecordReader
from makegood_contracts.topics import PEOPLE, Topic
from makegood_devtools.errors import UserError

from makegood_cli.export.converting import Check, Converter, Rejected
from makegood_cli.export.personal import Pseudonyms, erased_in
from makegood_cli.export.progress import Progress
from makegood_cli.export.quarantine import Quarantine
from makegood_cli.export.store import Offsets, Store

_CONVERTED = 10_000
"""Records that are kept as objects until they become columns, which are a fifth of the size."""
_POLLED = 5_000
_FETCHED = 256 << 10
"""Bytes that are fetched ahead for each partition."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a chunk is committed: with so many rows, so many bytes, or after so many seconds."""

    rows: int = 100_000
    bytes: int = 128 << 20
    seconds: float = 2.0


class Exporter:
    """Takes records, converts them, and commits chunks to the store."""

    def __init__(
        self,
        topics: Iterable[Topic],
        store: Store,
        quarantine: Quarantine,
        pseudonyms: Pseudonyms,
        *,
        check: Check | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._converters = {topic.name: Converter(topic, check) for topic in topics}
        self._store = store
        self._quarantine = quarantine
        self._pseudonyms = pseudonyms
        self._limits = limits or Limits()
        self._tables: dict[str, list[pa.Table]] = {name: [] for name in self._converters}
        self._next: Offsets = {}
        self._unconverted = 0
        self._rows = 0
        self._bytes = 0
        self._taken = 0
        self._since = time.monotonic()

    @property
    def polled(self) -> int:
        """How many records to take at once, at most."""
        return min(_POLLED, self._limits.rows)

    def take(self, polled: Polled, prefix: str = "") -> None:
        if not self._next:
            self._since = time.monotonic()
        for partition, records in polled.records.items():
            name = str(partition.topic).removeprefix(prefix)
            add = self._converters[name].add
            for record in records:
                add(record)
            self._next.setdefault(name, {})[partition.partition] = records[-1].offset + 1
            self._unconverted += len(records)
            self._taken += len(records)
        for hole in polled.unreadable:
            name = str(hole.partition.topic).removeprefix(prefix)
            converter = self._converters[name]
            converter.rejected.append(
                Rejected(converter.topic, hole.partition.partition, hole.first, hole.last, hole.reason)
            )
            self._next.setdefault(name, {})[hole.partition.partition] = hole.last + 1
            self._taken += hole.last - hole.first + 1
        if self._unconverted >= _CONVERTED:
            self._convert()

    def due(self) -> bool:
        """Whether the oldest record of the chunk has waited long enough."""
        return bool(self._next) and time.monotonic() - self._since >= self._limits.seconds

    def full(self) -> bool:
        """Whether the chunk has reached its size."""
        return self._rows + self._unconverted >= self._limits.rows or self._bytes >= self._limits.bytes

    def commit(self) -> int:
        """Commits what was taken. Returns the number of records."""
        if not self._next:
            return 0
        self._convert()
        tables = {
            self._converters[name].topic: pa.concat_tables(parts)
            if parts
            else self._converters[name].schema.empty_table()
            for name, parts in self._tables.items()
            if name in self._next
        }
        rejected = [each for converter in self._converters.values() for each in converter.rejected]
        self._forget(tables.get(PEOPLE))
        self._remove(tables)
        self._quarantine.keep(rejected)
        self._store.commit({topic: self._pseudonyms.applied(table) for topic, table in tables.items()}, self._next)
        done = self._taken
        for converter in self._converters.values():
            converter.rejected.clear()
            converter.gone.clear()
        for parts in self._tables.values():
            parts.clear()
        self._next, self._taken, self._rows, self._bytes = {}, 0, 0, 0
        return done

    def _convert(self) -> None:
        for name, converter in self._converters.items():
            if len(converter):
                table = converter.take()
                self._tables[name].append(table)
                self._rows += table.num_rows
                self._bytes += table.nbytes
        self._unconverted = 0

    def _forget(self, people: pa.Table | None) -> None:
        """The tables forget whoever was erased before the offsets move past the erasure: a crash in between repeats it."""
        if people is not None and (erased := erased_in(people)):
            pseudonyms = self._pseudonyms.add(erased)
            self._store.forget(pseudonyms)
            self._quarantine.forget(pseudonyms)

    def _remove(self, tables: dict[Topic, pa.Table]) -> None:
        """Entities with a tombstone leave the tables, also with the states that came in the same chunk."""
        for converter in self._converters.values():
            if gone := converter.gone:
                topic, table = converter.topic, tables[converter.topic]
                stays = [
                    offset > gone.get(subject, -1)
                    for subject, offset in zip(
                        table["ce_subject"].to_pylist(), table["kafka_offset"].to_pylist(), strict=True
                    )
                ]
                tables[topic] = table.filter(pa.array(stays, pa.bool_()))
                self._store.remove(topic, self._pseudonyms.with_pseudonyms(gone))


@asynccontextmanager
async def reading(brokers: Brokers, names: Sequence[str]) -> AsyncIterator[AIOKafkaConsumer[bytes, bytes]]:
    """A consumer of all partitions of these topics, without a group. Raises UserError if the broker does not answer."""
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        *names,
        **kafka_arguments(brokers),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        fetch_max_bytes=16 << 20,
        max_partition_fetch_bytes=_FETCHED,
    )
    try:
        await consumer.start()
        missing = [name for name in names if not consumer.partitions_for_topic(name)]
        if missing:
            raise UserError(
                f"topic {missing[0]} does not exist, or this user may not read it. See: makegood topics list"
            )
        yield consumer
    except KafkaError as error:
        raise UserError(f"Kafka at {brokers} does not answer ({type(error).__name__}: {error})") from error
    finally:
        await consumer.stop()


async def export(
    consumer: AIOKafkaConsumer[bytes, bytes],
    exporter: Exporter,
    store: Store,
    progress: Progress,
    *,
    prefix: str = "",
    follow: bool = False,
) -> None:
    """Reads from the store's offsets to the present end of the topics, or on without end. Raises UserError."""
    partitions = sorted(consumer.assignment())
    ends = await consumer.end_offsets(partitions)
    await _seek(consumer, partitions, ends, store.offsets(), prefix)
    reader = RecordReader(consumer)
    await reader.start()
    unread = {partition for partition in partitions if await consumer.position(partition) < ends[partition]}
    progress.begin(sum([ends[partition] - await consumer.position(partition) for partition in unread]))
    while unread or follow:
        polled = await reader.poll(*(() if follow else unread), timeout_ms=200, max_records=exporter.polled)
        exporter.take(polled, prefix)
        if not follow:
            unread = {each for each in unread if await consumer.position(each) < ends[each]}
        if exporter.full() or (follow and exporter.due()):
            progress.advance(exporter.commit())
        if follow:
            store.release()
    progress.advance(exporter.commit())
    store.release()


async def _seek(
    consumer: AIOKafkaConsumer[bytes, bytes],
    partitions: Sequence[TopicPartition],
    ends: dict[TopicPartition, int],
    offsets: Offsets,
    prefix: str,
) -> None:
    begins = await consumer.beginning_offsets(partitions)
    for partition in partitions:
        name = str(partition.topic).removeprefix(prefix)
        at = offsets.get(name, {}).get(partition.partition)
        if at is None:
            at = begins[partition]
        elif at > ends[partition]:
            raise UserError(
                f"{partition.topic} has fewer records than the export, so it is another platform's, or was made anew. "
                "Export to a new folder"
            )
        elif at < begins[partition]:
            raise UserError(
                f"{partition.topic} no longer has the records after the last exported one: its retention is too short. "
                "Export to a new folder"
            )
        consumer.seek(partition, at)
