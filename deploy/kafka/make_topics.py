"""Creates the missing topics of the contracts. Their events are kept forever, unless an operator has set a retention.

Settings: KAFKA_BOOTSTRAP_SERVERS and the other Kafka settings of a service (docs/settings.md), MAKEGOOD_ENVIRONMENT,
KAFKA_TOPIC_PREFIX (optional), KAFKA_REPLICATION (copies of each partition, default 1).
"""

from __future__ import annotations

import asyncio
import os
import sys

from makegood_chassis.checked_settings import advice
from makegood_chassis.kafka_settings import KafkaSettings
from makegood_stack.topics import provide, wanted
from pydantic import ValidationError


def main() -> None:
    topics = wanted(os.environ.get("KAFKA_TOPIC_PREFIX", ""), int(os.environ.get("KAFKA_REPLICATION", "1")))
    try:
        kafka = KafkaSettings().kafka
    except ValidationError as error:
        sys.stderr.write(advice(KafkaSettings, error) + "\n")
        sys.exit(2)
    made = asyncio.run(provide(kafka, topics))
    sys.stdout.write(f"topics made: {', '.join(made) or 'none, all exist'}\n")


if __name__ == "__main__":
    main()
