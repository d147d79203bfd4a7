"""How far behind a consumer is, on a real broker: while it reads, and while it is stuck."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from makegood_chassis.messaging.lag import Lag
from makegood_chassis.metrics import CONSUMER_LAG, CONSUMER_PARTITIONS, REGISTRY_OF_PROCESS
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SESSIONS

from .messaging_example import session_event
from .messaging_helpers import produce, record_of


def _shown(name: str = CONSUMER_LAG._name, **labels: str) -> float | None:
    return REGISTRY_OF_PROCESS.get_sample_value(name, labels)


def _lag() -> float | None:
    return _shown(messaging_destination_name=SESSIONS.name)


async def _send(servers: str, prefix: str, session_id: str, count: int) -> None:
    await produce(servers, prefix, [record_of(session_event(session_id)) for _ in range(count)])


async def test_the_lag_is_what_is_not_handled_yet(kafka_servers: str, topic_prefix: str) -> None:
    topic, session_id = topic_prefix + SESSIONS.name, new_id()
    await _send(kafka_servers, topic_prefix, session_id, 5)
    lag = Lag([topic], topic_prefix)
    assert _lag() == 0
    kafka = AIOKafkaConsumer(bootstrap_servers=kafka_servers, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await kafka.start()
    try:
        await kafka._client.add_topic(topic)
        partitions = [TopicPartition(topic, number) for number in kafka.partitions_for_topic(topic)]
        kafka.assign(partitions)
        records: dict[TopicPartition, list[Any]] = {}
        while not records:
            records = await kafka.getmany(timeout_ms=500, max_records=2)
        ((partition, part),) = records.items()
        lag.handled[partition] = part[-1].offset + 1
        await lag.measure(kafka)
        assert _lag() == 3
        assert _shown(CONSUMER_PARTITIONS._name) == len(partitions)

        # It handles nothing more, so it fetches nothing more: only the broker knows what has come.
        await _send(kafka_servers, topic_prefix, session_id, 4)
        await lag.measure(kafka)
        assert _lag() == 7

        lag.handled[partition] += 7
        await lag.measure(kafka)
        assert _lag() == 0
        lag.forget()
        assert _shown(CONSUMER_PARTITIONS._name) == 0
    finally:
        await kafka.stop()


class _Rebalanced:
    """A consumer that is told the position of its first partition when its partitions are other ones."""

    def __init__(self, lag: Lag, *assignments: set[TopicPartition]) -> None:
        self._lag = lag
        self._assignments = list(assignments)

    def assignment(self) -> set[TopicPartition]:
        return self._assignments[0]

    async def position(self, partition: TopicPartition) -> int:
        if len(self._assignments) > 1:
            self._lag.forget()
            del self._assignments[0]
        return 3

    def highwater(self, partition: TopicPartition) -> int:
        assert partition in self.assignment(), "as aiokafka does"
        return 10

    async def end_offsets(self, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)


async def test_partitions_that_are_taken_away_meanwhile_are_measured_the_next_time() -> None:
    """An error would end the measuring of this process, and nobody would notice."""
    lag = Lag([SESSIONS.name], "")
    first, second, third = (TopicPartition(SESSIONS.name, number) for number in range(3))
    kafka = _Rebalanced(lag, {first, second}, {second, third})
    await lag.measure(kafka)
    assert _shown(CONSUMER_PARTITIONS._name) == 0
    await lag.measure(kafka)
    assert _shown(CONSUMER_PARTITIONS._name) == 2
    assert _lag() == 14
