"""Consumer lag: how many events the services have not read yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_devtools.errors import UserError

from makegood_stack.ports import SERVICES
from makegood_stack.topic_state import group_offsets


class Backlog:
    """Reads the lag of the services' consumer groups, and stays connected between two reads.

    A partition counts even before the group's first commit.
    """

    def __init__(self, bootstrap: Brokers, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def close(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
        if self._admin is not None:
            await self._admin.close()
        self._admin = self._consumer = None

    async def events(self, but: Collection[str] = ()) -> int:
        """The lag of all groups, except those of some services. Raises UserError if the broker does not answer."""
        left_out = {self._prefix + service for service in but}
        return sum(count for group, count in (await self.groups()).items() if group not in left_out)

    async def groups(self) -> dict[str, int]:
        """The lag by group, for groups that have read anything. Raises UserError if the broker does not answer."""
        try:
            return await self._look()
        except (KafkaError, OSError) as error:
            await self.close()
            raise UserError(
                f"Kafka at {self._bootstrap} does not answer ({type(error).__name__}). Start it with: makegood up"
            ) from error

    async def _look(self) -> dict[str, int]:
        if self._admin is None or self._consumer is None:
            self._admin = AIOKafkaAdminClient(**kafka_arguments(self._bootstrap))
            await self._admin.start()
            self._consumer = AIOKafkaConsumer(**kafka_arguments(self._bootstrap))
            await self._consumer.start()
        behind: dict[str, int] = {}
        for group in (self._prefix + service for service in SERVICES):
            read = await group_offsets(self._admin, group)
            if not read:
                continue
            partitions: defaultdict[str, set[int]] = defaultdict(set)
            for part in read:
                partitions[part.topic] |= self._consumer.partitions_for_topic(part.topic) or {part.partition}
            wanted = [TopicPartition(topic, number) for topic, numbers in partitions.items() for number in numbers]
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets(wanted)
            behind[group] = sum(max(0, end - read.get(part, 0)) for part, end in ends.items())
        return behind
