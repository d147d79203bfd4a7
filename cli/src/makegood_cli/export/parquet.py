"""Parquet: `<table>/day=<date>/<commit>.parquet`, by the day of `ce_time` in UTC.

A commit writes files into a folder of its own, then replaces the manifest, which names them and the offsets: that is the moment
in which the rows count. Then the files get their places. After a crash the next run does what the manifest says, and removes
what it does not name. So a reader that takes every file sees no record twice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from makegood_contracts.topics import Topic

from makegood_cli.export.folder import ExportFolder, sync_folder
from makegood_cli.export.personal import about, pseudonymised
from makegood_cli.export.store import Offsets, table_name

_MANIFEST: Final = "manifest.json"
_MANY: Final = 32
"""From this many files on, one sync of everything is faster than one for each."""


class ParquetStore:
    """Tables as folders of files. `folder` is locked by the caller."""

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder
        self._staging = folder.state / "staging"
        manifest: dict[str, Any] = folder.read(_MANIFEST, {"commit": 0, "offsets": {}, "files": []})
        self._commit: int = manifest["commit"]
        self._offsets: Offsets = {
            topic: {int(partition): offset for partition, offset in parts.items()}
            for topic, parts in manifest["offsets"].items()
        }
        self._place(manifest["files"])
        shutil.rmtree(self._staging, ignore_errors=True)

    def offsets(self) -> Offsets:
        return {topic: dict(parts) for topic, parts in self._offsets.items()}

    def commit(self, tables: Mapping[Topic, pa.Table], offsets: Offsets) -> None:
        name = f"{self._commit + 1:08d}.parquet"
        files = []
        for topic, table in tables.items():
            for day, rows in _by_day(table):
                files.append(f"{table_name(topic)}/day={day}/{name}")
                self._write(rows, files[-1])
        after = self.offsets()
        for topic_name, parts in offsets.items():
            after.setdefault(topic_name, {}).update(parts)
        self._replace(files, after)

    def forget(self, pseudonyms: Mapping[str, str]) -> None:
        def forgotten(rows: pa.Table) -> pa.Table | None:
            return None if about(rows, pseudonyms) is None else pseudonymised(rows, pseudonyms)

        self._rewrite("*", forgotten)

    def remove(self, topic: Topic, subjects: Collection[str]) -> None:
        def rest(rows: pa.Table) -> pa.Table | None:
            theirs = pc.is_in(rows["ce_subject"], value_set=pa.array(list(subjects), pa.string()))
            return rows.filter(pc.invert(theirs)) if pc.any(theirs).as_py() else None

        self._rewrite(table_name(topic), rest)

    def _rewrite(self, table: str, change: Callable[[pa.Table], pa.Table | None]) -> None:
        """Files that change are written again, and take the places of the old ones."""
        files = []
        for path in sorted(self._folder.path.glob(f"{table}/day=*/*.parquet")):
            # Without partitioning, the folder's day would become a column.
            rows = change(pq.read_table(path, partitioning=None))
            if rows is not None:
                files.append(str(path.relative_to(self._folder.path)))
                self._write(rows, files[-1])
        if files:
            self._replace(files, self._offsets)

    def release(self) -> None:
        """Readers need nothing."""

    def _write(self, rows: pa.Table, name: str) -> None:
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path, compression="zstd")

    def _replace(self, files: list[str], offsets: Offsets) -> None:
        self._sync(files)
        self._folder.write(_MANIFEST, {"commit": self._commit + 1, "offsets": offsets, "files": files})
        self._commit += 1
        self._offsets = offsets
        self._place(files)

    def _place(self, files: list[str]) -> None:
        """Gives the files of a commit their places, unless they have them."""
        for name in files:
            staged, place = self._staging / name, self._folder.path / name
            if staged.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(place)
        for parent in {(self._folder.path / name).parent for name in files}:
            sync_folder(parent)

    def _sync(self, files: list[str]) -> None:
        if len(files) > _MANY:
            os.sync()
            return
        for name in files:
            _sync_file(self._staging / name)
            sync_folder((self._staging / name).parent)


def _by_day(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each day, in the order of their times."""
    if not table.num_rows:
        return
    table = table.sort_by([("ce_time", "ascending"), ("kafka_partition", "ascending"), ("kafka_offset", "ascending")])
    days = pc.run_end_encode(table["ce_time"].combine_chunks().cast(pa.date32()))
    begin = 0
    for day, end in zip(days.values.to_pylist(), days.run_ends.to_pylist(), strict=True):
        yield day.isoformat(), table.slice(begin, end - begin)
        begin = end


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
