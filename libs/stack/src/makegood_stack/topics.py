"""Creates the topics of the contracts on a broker, with the settings that the contracts name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_contracts.topics import TOPICS

from makegood_stack import kafka

_COPIES = "min.insync.replicas"
_OWN = 1
"""The source of a value that was set for this topic itself (DYNAMIC_TOPIC_CONFIG)."""


def wanted(prefix: str = "", replication: int = 1) -> list[NewTopic]:
    """All topics of the contracts, including dead letters, with this prefix and replication factor.

    With three copies or more, the broker confirms a record only when all but one have it.
    """
    safe = {_COPIES: str(replication - 1)} if replication > 2 else {}
    return [NewTopic(prefix + t.name, t.partitions, replication, topic_configs={**t.settings, **safe}) for t in TOPICS]


async def provide(bootstrap: Brokers, topics: list[NewTopic]) -> list[str]:
    """Creates missing topics, sets what is not set on the others, and returns the names of the new ones.

    What an operator has set for a topic is kept. Raises KafkaError.
    """
    made = await kafka.make_topics(bootstrap, topics)
    # A topic that exists may have fewer copies than new ones get.
    settings = {t.name: {key: value for key, value in t.topic_configs.items() if key != _COPIES} for t in topics}
    await _complete(bootstrap, {name: wanted for name, wanted in settings.items() if name not in made})
    return made


async def _complete(bootstrap: Brokers, settings: Mapping[str, Mapping[str, str]]) -> None:
    if not settings:
        return
    admin = AIOKafkaAdminClient(**kafka_arguments(bootstrap))
    await admin.start()
    try:
        changes = []
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in settings]
        for answer in await admin.describe_configs(asked):
            for code, message, _, name, values in answer.resources:
                _raise(code, f"{name}: {message}")
                own = {key: value for key, value, _, source, *_ in values if source == _OWN}
                if settings[name].keys() - own.keys():
                    # The request replaces all settings of the topic, so repeat the existing ones.
                    changes.append(ConfigResource(ConfigResourceType.TOPIC, name, {**settings[name], **own}))
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
