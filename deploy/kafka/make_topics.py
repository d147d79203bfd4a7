"""Makes the contracts' topics that do not exist yet; all of them are kept for good, save where somebody set a retention.

Settings: KAFKA_BOOTSTRAP_SERVERS, KAFKA_TOPIC_PREFIX (optional), KAFKA_REPLICATION (copies of each partition, default 1).
"""

from __future__ import annotations

import asyncio
import os
import sys

from makegood_cli.stack.topics import provide, wanted


def main() -> None:
    topics = wanted(os.environ.get("KAFKA_TOPIC_PREFIX", ""), int(os.environ.get("KAFKA_REPLICATION", "1")))
    made = asyncio.run(provide(os.environ["KAFKA_BOOTSTRAP_SERVERS"], topics))
    sys.stdout.write(f"topics made: {', '.join(made) or 'none, all exist'}\n")


if __name__ == "__main__":
    main()
