"""Makes the topics that do not exist yet, from the contracts' list; what exists is left alone.

Settings: KAFKA_BOOTSTRAP_SERVERS, KAFKA_TOPIC_PREFIX (optional), KAFKA_REPLICATION (copies of each partition, default 1).
"""

from __future__ import annotations

import asyncio
import os
import sys

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code
from makegood_contracts.topics import TOPICS


async def make_topics(bootstrap: str, prefix: str, replication: int) -> list[str]:
    """Answers the names of the topics it made. KafkaError where the broker refuses."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = [NewTopic(prefix + topic.name, topic.partitions, replication) for topic in TOPICS]
        missing = [topic for topic in wanted if topic.name not in existing]
        if not missing:
            return []
        answer = await admin.create_topics(missing, timeout_ms=30000)
        for name, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(name)
        return [topic.name for topic in missing]
    finally:
        await admin.close()


def main() -> None:
    made = asyncio.run(
        make_topics(
            os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            os.environ.get("KAFKA_TOPIC_PREFIX", ""),
            int(os.environ.get("KAFKA_REPLICATION", "1")),
        )
    )
    sys.stdout.write(f"topics made: {', '.join(made) or 'none, all exist'}\n")


if __name__ == "__main__":
    main()
