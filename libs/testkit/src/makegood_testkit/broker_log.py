"""How much a broker wrote: the record batches and bytes in its log, by topic.

A producer's request adds one batch to each partition that it writes to, so batches are what requests cost the broker.
The layout of a batch's header is Kafka's: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct(">qi")
"""A batch's first offset, and how many bytes follow."""

_OWN: Final = "__cluster_metadata"
"""What the brokers write among themselves, also when there is nothing to do."""


class Written(NamedTuple):
    """Counts by topic, such as `booking.sessions.v1` or `__consumer_offsets`."""

    batches: Counter[str]
    bytes: Counter[str]


def written(data: Path) -> Written:
    """Everything in the data folder of a broker that deletes and compacts nothing meanwhile."""
    found = Written(Counter(), Counter())
    for segment in data.glob("*/*.log"):
        topic, _, partition = segment.parent.name.rpartition("-")
        if not partition.isdecimal() or topic == _OWN:
            continue
        content, position = segment.read_bytes(), 0
        while position + _HEADER.size <= len(content):
            length = _HEADER.unpack_from(content, position)[1]
            if not length:  # the broker has reserved this space and not used it yet
                break
            position += _HEADER.size + length
            found.batches[topic] += 1
        found.bytes[topic] += position
    return found
