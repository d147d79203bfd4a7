"""Creates the missing topics of the contracts. Their events are kept forever, unless an operator has set a retention.

With SCHEMA_REGISTRY_URL, it then registers the schema of each topic, and exits with 1 if the registry refuses one. All its
settings are in docs/settings.md, under "The job that makes topics".
"""

from __future__ import annotations

import asyncio
import sys

from makegood_chassis.checked_settings import advice
from makegood_devtools.errors import UserError
from makegood_stack.schema_registry import documents, register
from makegood_stack.topic_settings import TopicSettings
from makegood_stack.topics import provide, wanted
from pydantic import ValidationError


def main() -> None:
    try:
        settings = TopicSettings()
    except ValidationError as error:
        sys.stderr.write(advice(TopicSettings, error) + "\n")
        sys.exit(2)
    made = asyncio.run(provide(settings.kafka, wanted(settings.topic_prefix, settings.replication)))
    sys.stdout.write(f"topics made: {', '.join(made) or 'none, all exist'}\n")
    if settings.registry is None:
        return
    schemas = documents(settings.topic_prefix)
    try:
        register(settings.registry, schemas)
    except UserError as error:
        sys.exit(str(error))
    sys.stdout.write(f"schemas registered: {len(schemas)}\n")


if __name__ == "__main__":
    main()
