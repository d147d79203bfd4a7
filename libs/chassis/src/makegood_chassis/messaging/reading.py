"""Reads topics past records that cannot even be taken from their batch.

Kafka stores header names that are not UTF-8, and batches in codecs that aiokafka lacks. aiokafka's `getmany` then
raises at the same offset for ever, and forgets what it had taken from other partitions in the same call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka.structs import ConsumerRecord, TopicPartition


@dataclass(frozen=True, slots=True)
class UnreadableRange:
    """Offsets of one partition, `first` to `last`, that cannot be read.

    They go from the record at fault to the end of its batch, which one producer wrote.
    """

    partition: TopicPartition
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll brought: records, and what was stepped over."""

    records: dict[TopicPartition, list[ConsumerRecord]]
    unreadable: tuple[UnreadableRange, ...] = ()


class RecordReader:
    """Polls a consumer. Steps over what cannot be read, and reports it."""

    def __init__(self, kafka: Any) -> None:
        self._kafka = kafka
        self._next: dict[TopicPartition, int] = {}

    def forget(self) -> None:
        """Forgets the partitions, which were taken away."""
        self._next.clear()

    async def start(self) -> None:
        """Takes the current positions, for consumers without a group: they have no committed offsets to go back to."""
        for partition in self._kafka.assignment():
            self._next[partition] = await self._kafka.position(partition)

    async def poll(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Polled:
        """Raises KafkaError, as `getmany` does."""
        try:
            polled = await self._kafka.getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        except Exception as error:
            unreadable = unreadable_range(error)
            if unreadable is None:
                raise
            await self._go_back()
            return await self._past(unreadable, max_records)
        self._note(polled)
        return Polled(polled)

    def _note(self, polled: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        for partition, records in polled.items():
            self._next[partition] = records[-1].offset + 1

    async def _go_back(self) -> None:
        """Seeks back: when `getmany` raises, what it had taken is lost, but its positions have moved on."""
        for partition in self._kafka.assignment():
            at = self._next.get(partition)
            if at is None and (at := await self._kafka.committed(partition)) is None:
                at = (await self._kafka.beginning_offsets([partition]))[partition]
            self._kafka.seek(partition, at)

    async def _past(self, unreadable: UnreadableRange, max_records: int) -> Polled:
        """Reads what stands before the range. Once nothing does, goes on behind it."""
        partition = unreadable.partition
        most = min(max_records, unreadable.first - await self._kafka.position(partition))
        while most > 0:
            try:
                polled = await self._kafka.getmany(partition, timeout_ms=1000, max_records=most)
            except Exception as error:
                nearer = unreadable_range(error)
                if nearer is None or nearer.partition != partition:
                    raise
                unreadable, most = nearer, most // 2  # offsets may have gaps: then fewer records stand before it
                continue
            self._note(polled)
            return Polled(polled)  # if nothing came in time, the next poll comes here again
        self._next[partition] = unreadable.last + 1
        self._kafka.seek(partition, unreadable.last + 1)
        return Polled({}, (unreadable,))


def unreadable_range(error: BaseException) -> UnreadableRange | None:
    """The offsets that caused the error in reading a batch; None for any other error.

    aiokafka does not report them, so its stack frame is inspected. A test on a real broker fails if that changes.
    """
    if "Invalid CRC" in str(error):
        return None  # no producer can store such a batch, so a disk or network is at fault: wait for it
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "_unpack_records":
            here = trace.tb_frame.f_locals
            first: int = here["self"].next_fetch_offset
            behind: int = getattr(here.get("next_batch"), "next_offset", None) or 0
            return UnreadableRange(here["tp"], first, max(first, behind - 1), type(error).__name__)
        trace = trace.tb_next
    return None
