"""How far a consumer has read, for code that must know whether all events up to a moment have been handled."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka.structs import ConsumerRecord, TopicPartition

EVERY: Final = 0.5
"""Seconds of real time between two reports."""
_ON_ITS_WAY: Final = 0.25
"""Seconds by which an answer of the broker may be older than its arrival."""


@dataclass(frozen=True, slots=True)
class ReadUntil:
    """Everything that was in the partition at `until` (real time) has been handled. `partitions`: how many the topic
    has."""

    topic: str
    partition: int
    partitions: int
    until: datetime


Report = Callable[[Sequence[ReadUntil]], Awaitable[None]]


class Progress:
    """Reports now and then how far one consumer has read its partitions. Call it between two polls, when everything
    polled is handled."""

    def __init__(self, report: Report, prefix: str = "") -> None:
        self._report = report
        self._prefix = prefix
        self._last: dict[TopicPartition, float] = {}
        self._due = 0.0

    def handled(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """Notes that these records, and all before them, are handled."""
        for partition, part in records.items():
            self._last[partition] = part[-1].timestamp / 1000

    def forget(self) -> None:
        """Forgets the partitions, which were taken away."""
        self._last.clear()

    async def tell(self, kafka: Any) -> None:
        """Reports, if it is time to do so."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY
        found = [one for partition in kafka.assignment() if (one := await self._of(kafka, partition)) is not None]
        if found:
            await self._report(_in_order(found))

    async def _of(self, kafka: Any, partition: TopicPartition) -> ReadUntil | None:
        if partition not in kafka.assignment():  # lost while waiting for another one's position
            return None
        end, polled = kafka.highwater(partition), kafka.last_poll_timestamp(partition)
        if end is None or polled is None:
            return None
        if await kafka.position(partition) >= end:
            until = polled / 1000 - _ON_ITS_WAY
        elif partition in self._last:
            until = self._last[partition]
        else:
            return None
        topic = partition.topic.removeprefix(self._prefix)
        count = len(kafka.partitions_for_topic(partition.topic) or ())
        return ReadUntil(topic, partition.partition, count, datetime.fromtimestamp(until, UTC))


def _in_order(found: Iterable[ReadUntil]) -> list[ReadUntil]:
    """The reports in one fixed order, to avoid deadlocks."""
    return sorted(found, key=lambda one: (one.topic, one.partition))
