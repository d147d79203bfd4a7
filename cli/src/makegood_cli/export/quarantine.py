"""Records that do not fit their contract: kept in files as they came, with the reason and their place on the topic."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from makegood_cli.export.converting import Rejected
from makegood_cli.export.folder import ExportFolder, replace_file
from makegood_cli.export.store import Offsets, table_name


class Quarantine:
    """`quarantine/<table>/<partition>-<first offset>.jsonl`: one JSON object for each record.

    A file is written before the offsets move. If a crash comes between the two, `discard_from` removes it.
    """

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder.quarantine

    def discard_from(self, offsets: Offsets, tables: Mapping[str, str]) -> None:
        """Removes files of records that will be read again. `tables`: topics by the names of their tables."""
        for path in self._files():
            partition, first = map(int, path.stem.split("-"))
            if first >= offsets.get(tables.get(path.parent.name, ""), {}).get(partition, 0):
                path.unlink()

    def keep(self, rejected: Iterable[Rejected]) -> None:
        def place(each: Rejected) -> tuple[str, int]:
            return table_name(each.topic), each.partition

        for (table, partition), group in groupby(sorted(rejected, key=lambda r: (*place(r), r.first)), key=place):
            records = list(group)
            path = self._folder / table / f"{partition}-{records[0].first:020d}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, [_described(each) for each in records])

    def count(self) -> int:
        """Records in the folder. Whoever has dealt with a file may remove it."""
        return sum(each["records"] for path in self._files() for each in _read(path))

    def forget(self, pseudonyms: Mapping[str, str]) -> None:
        """Takes the content of records out that name one of these people."""
        for path in self._files():
            entries = _read(path)
            for entry in entries:
                if any(_names(entry, person) for person in pseudonyms):
                    entry |= {"key": None, "value": None, "headers": {}, "reason": "a person was erased"}
                    entry.pop("value_base64", None)
            _write(path, entries)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*/*.jsonl"))


def _names(entry: dict[str, Any], person: str) -> bool:
    raw = base64.b64decode(entry.get("value_base64") or "")
    return person in json.dumps(entry, ensure_ascii=False) or person.encode() in raw


def _described(each: Rejected) -> dict[str, Any]:
    record = each.record
    described: dict[str, Any] = {
        "topic": each.topic.name,
        "partition": each.partition,
        "offset": each.first,
        "records": each.last - each.first + 1,
        "reason": each.reason,
    }
    if record is not None:
        value = record.value
        described |= {
            "timestamp": record.timestamp,
            "key": None if record.key is None else record.key.decode(errors="replace"),
            "headers": {name: (content or b"").decode(errors="replace") for name, content in record.headers},
            "value": None if value is None else value.decode(errors="replace"),
        }
        if value is not None and described["value"].encode() != value:
            described["value_base64"] = base64.b64encode(value).decode()
    return described


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    replace_file(path, "".join(json.dumps(each) + "\n" for each in entries).encode())
