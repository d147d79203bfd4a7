"""How many events a consumer still has before it, for metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from makegood_chassis.metrics import CONSUMER_LAG, CONSUMER_PARTITIONS

_EVERY: Final = 5.0
_PATIENCE: Final = 2.0
"""Seconds for the broker to say where partitions end."""


class Lag:
    """Measures the lag of one consumer. `handled`: for each partition, the offset after the last event that was handled."""

    def __init__(self, topics: Iterable[str], prefix: str) -> None:
        self._prefix = prefix
        self._topics = [topic.removeprefix(prefix) for topic in topics]
        self.handled: dict[TopicPartition, int] = {}
        self._seen: dict[TopicPartition, int] = {}
        self.forget()

    def forget(self) -> None:
        """Forgets the partitions, which were taken away."""
        self.handled.clear()
        self._seen = {}
        self._show({})

    async def keep_measured(self, kafka: Any) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.measure(kafka)
            except (KafkaError, TimeoutError):
                pass  # what was measured last is shown, until the broker is back

    async def measure(self, kafka: Any) -> None:
        """Raises KafkaError. If partitions are taken away meanwhile, it leaves the rest to the next time."""
        partitions = kafka.assignment()
        for partition in partitions - self.handled.keys():
            self.handled[partition] = await kafka.position(partition)
        if kafka.assignment() != partitions or partitions - self.handled.keys():
            return
        ends = {partition: kafka.highwater(partition) or 0 for partition in partitions}
        before = {partition: self.handled[partition] for partition in partitions}
        if before == self._seen and any(ends[partition] > at for partition, at in before.items()):
            # Nothing was handled for a while, so nothing was fetched either: ask the broker what has come since.
            ends = await kafka.end_offsets(partitions)
        self._seen = before
        self._show({partition: max(0, ends[partition] - at) for partition, at in before.items()})

    def _show(self, lags: dict[TopicPartition, int]) -> None:
        by_topic = dict.fromkeys(self._topics, 0)
        for partition, lag in lags.items():
            by_topic[partition.topic.removeprefix(self._prefix)] += lag
        for topic, lag in by_topic.items():
            CONSUMER_LAG.labels(topic).set(lag)
        CONSUMER_PARTITIONS.set(len(lags))
