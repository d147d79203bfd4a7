"""What the three formats have in common: rows and the offsets up to which they are there change together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol, TypeAlias

import pyarrow as pa
from makegood_contracts.topics import Topic

Offsets: TypeAlias = dict[str, dict[int, int]]
"""The next offset to export, by topic and partition."""


def table_name(topic: Topic) -> str:
    """The name of a topic's table, such as `booking_sessions_v1`."""
    return topic.name.replace(".", "_").replace("-", "_")


class Store(Protocol):
    """Tables of one format. After a crash at any moment, each record is in them once, up to `offsets`."""

    def offsets(self) -> Offsets:
        """How far the tables go."""
        ...

    def commit(self, tables: Mapping[Topic, pa.Table], offsets: Offsets) -> None:
        """Adds rows and moves the offsets of some partitions, at once for each topic at least."""
        ...

    def forget(self, pseudonyms: Mapping[str, str]) -> None:
        """Gives people their pseudonyms in all rows, and takes what they wrote out of the files. May be repeated."""
        ...

    def remove(self, topic: Topic, subjects: Collection[str]) -> None:
        """Removes the rows of entities, and takes them out of the files. May be repeated."""
        ...

    def release(self) -> None:
        """Lets go of files until the next commit, so that others can read them."""
        ...
