"""Sets the services' consumers back to where they stood at a cut."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_devtools.errors import UserError

from makegood_stack.backup.cut import Positions
from makegood_stack.backup.manifest import Manifest, Offsets
from makegood_stack.ports import SERVICES


async def set_back(brokers: Brokers, manifest: Manifest) -> int:
    """Commits the noted offsets of every group. Returns how many partitions changed.

    A partition that a service had not read at the cut, and has now, begins again. Raises UserError if a service still runs.
    """
    async with Positions(brokers, manifest.prefix) as positions:
        present = await positions.groups()
    changed = 0
    for service in SERVICES:
        now, then = _flat(present[service]), _flat(manifest.groups.get(service, {}))
        wanted = {
            TopicPartition(manifest.prefix + topic, number): then.get((topic, number), 0)
            for topic, number in now.keys() | then.keys()
            if now.get((topic, number)) != then.get((topic, number), 0)
        }
        if wanted:
            await _commit(brokers, manifest.prefix + service, wanted)
        changed += len(wanted)
    return changed


def _flat(offsets: Offsets) -> dict[tuple[str, int], int]:
    return {(topic, number): offset for topic, numbers in offsets.items() for number, offset in numbers.items()}


async def _commit(brokers: Brokers, group: str, offsets: dict[TopicPartition, int]) -> None:
    consumer = AIOKafkaConsumer(**kafka_arguments(brokers), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        try:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
        finally:
            await consumer.stop()
    except KafkaError as error:
        raise UserError(
            f"the offsets of {group} cannot be set ({type(error).__name__}). Stop all of its processes, on every machine"
        ) from error
