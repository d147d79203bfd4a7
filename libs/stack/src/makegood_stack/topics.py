"""Creates the topics of the contracts on a broker, with unlimited retention."""

from __future__ import annotations

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_contracts.topics import TOPICS

from makegood_stack import kafka

KEPT_FOR_GOOD = {"retention.ms": "-1"}
"""Topics keep each entity's events from the first on, for `makegood audit`. Kafka's default is seven days."""

_OWN = 1
"""The source of a value that was set for this topic itself (DYNAMIC_TOPIC_CONFIG)."""


def wanted(prefix: str = "", replication: int = 1) -> list[NewTopic]:
    """All topics of the contracts, including dead letters, with this prefix and replication factor."""
    return [NewTopic(prefix + t.name, t.partitions, replication, topic_configs=KEPT_FOR_GOOD) for t in TOPICS]


async def provide(bootstrap: Brokers, topics: list[NewTopic]) -> list[str]:
    """Creates missing topics, sets unlimited retention on the others, and returns the names of the new ones.

    A retention that an operator has set is kept. Raises KafkaError.
    """
    made = await kafka.make_topics(bootstrap, topics)
    await _keep(bootstrap, [topic.name for topic in topics if topic.name not in made])
    return made


async def _keep(bootstrap: Brokers, names: list[str]) -> None:
    if not names:
        return
    admin = AIOKafkaAdminClient(**kafka_arguments(bootstrap))
    await admin.start()
    try:
        changes = []
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for answer in await admin.describe_configs(asked):
            for code, message, _, name, values in answer.resources:
                _raise(code, f"{name}: {message}")
                own = {key: value for key, value, _, source, *_ in values if source == _OWN}
                if not own.keys() & KEPT_FOR_GOOD.keys():
                    # The request replaces all settings of the topic, so repeat the existing ones.
                    changes.append(ConfigResource(ConfigResourceType.TOPIC, name, own | KEPT_FOR_GOOD))
        if changes:
            for answer in await admin.alter_configs(changes):
                for code, message, *_, name in answer.resources:
                    _raise(code, f"{name}: {message}")
    finally:
        await admin.close()


def _raise(code: int, message: str) -> None:
    if code:
        error: Any = for_code(code)
        raise error(message)
