"""Events of a test's choice, in a DuckDB file as `makegood topics export` writes it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from makegood_cli.export.converting import Converter
from makegood_cli.export.duck import NAME, DuckStore
from makegood_cli.export.folder import ExportFolder
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import Event
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.topics import Topic


@dataclass(frozen=True)
class _Record:
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class ExportedEvents:
    """Collects events, one partition for each topic, and writes them as an export."""

    def __init__(self) -> None:
        self._records: defaultdict[Topic, list[_Record]] = defaultdict(list)
        self._sequences: Counter[tuple[str, str]] = Counter()

    def add(self, kind: type[Event], at: datetime, *, withdrawn: bool = False, **fields: Any) -> str:
        """Adds an event, made at `at`: the contract's example with these fields. Returns its id. `withdrawn`: a later event
        will use its sequence number again."""
        event = msgspec.structs.replace(example_of(kind), **fields)
        entity = (kind.topic.name, event.key)
        made = encode(event, sequence=self._sequences[entity] + 1, cause=Cause("test", "test"), time=at)
        if not withdrawn:
            self._sequences[entity] += 1
        records = self._records[kind.topic]
        headers = [(name, text.encode()) for name, text in made.headers]
        records.append(_Record(0, len(records), int(at.timestamp() * 1000), made.key.encode(), made.value, headers))
        return made.id

    def repeat_last(self, topic: Topic) -> None:
        """Adds the topic's last record again, as Kafka may do."""
        last = self._records[topic][-1]
        self._records[topic].append(
            _Record(last.partition, last.offset + 1, last.timestamp, last.key, last.value, last.headers)
        )

    def write(self, folder: Path) -> Path:
        """Writes the export. Returns the path of its DuckDB file."""
        export = ExportFolder(folder)
        tables = {}
        for topic, records in self._records.items():
            converter = Converter(topic)
            for record in records:
                converter.add(record)
            tables[topic] = converter.take()
            assert not converter.rejected, converter.rejected[0].reason
        with export.locked():
            export.begin("duckdb")
            store = DuckStore(export)
            store.commit(tables, {})
            store.release()
        return folder / NAME
