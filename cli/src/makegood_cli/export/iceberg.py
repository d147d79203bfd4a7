"""Apache Iceberg: one table for each topic, partitioned by the day of `ce_time`, in an SQL catalog.

Each commit is one snapshot of a table. The offsets stand in the snapshot's summary, so they cannot disagree with its rows.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, cast

import pyarrow as pa
from makegood_contracts.topics import Topic
from makegood_devtools.errors import UserError
from pyarrow.fs import FileSelector
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import BooleanExpression, In, Or
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform

from makegood_cli.export.folder import ExportFolder
from makegood_cli.export.personal import PEOPLE, pseudonymised
from makegood_cli.export.store import Offsets, table_name

NAMESPACE: Final = "makegood"
OFFSETS: Final = "makegood.offsets"
TOPIC: Final = "makegood.topic"
_PROPERTIES: Final = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
    "commit.manifest-merge.enabled": "true",
    "write.parquet.compression-codec": "zstd",
}


class IcebergStore:
    """Tables in the catalog at `catalog` (an SQLAlchemy address), with their files at `warehouse` (a folder or s3://…)."""

    def __init__(self, folder: ExportFolder, catalog: str | None = None, warehouse: str | None = None) -> None:
        for name in ("pyiceberg", "pyiceberg.io", "pyiceberg.table"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=r"pyiceberg\..*")
        self._catalog = SqlCatalog(
            NAMESPACE,
            uri=catalog or f"sqlite:///{folder.path.resolve() / 'catalog.db'}",
            warehouse=warehouse or (folder.path.resolve() / "warehouse").as_uri(),
        )
        self._catalog.create_namespace_if_not_exists(NAMESPACE)
        self._tables: dict[str, Table] = {}
        for place in self._catalog.list_tables(NAMESPACE):
            table = self._catalog.load_table(place)
            if topic := table.properties.get(TOPIC):
                self._tables[topic] = table
        self._current: set[str] = set()

    def offsets(self) -> Offsets:
        return {topic: _offsets_of(table) for topic, table in self._tables.items()}

    def commit(self, tables: Mapping[Topic, pa.Table], offsets: Offsets) -> None:
        by_name = {topic.name: (topic, rows) for topic, rows in tables.items()}
        for name, parts in offsets.items():
            topic, rows = by_name[name]
            table = self._table(topic, rows.schema)
            table.append(rows, snapshot_properties=_summary(_offsets_of(table) | parts))

    def forget(self, pseudonyms: Mapping[str, str]) -> None:
        """Rows are replaced in a new snapshot; older snapshots and the files that only they had are removed."""
        for table in self._tables.values():
            columns = [name for name in table.schema().column_names if name in PEOPLE]
            theirs = _any_of(_in(name, pseudonyms) for name in columns)
            rows = table.scan(row_filter=theirs).to_arrow()
            if rows.num_rows:
                fresh = pseudonymised(rows, pseudonyms)
                # By a column that is never null: PyIceberg keeps rows with a null in any column of the filter.
                same = _in("ce_id", rows["ce_id"].to_pylist())
                table.overwrite(fresh, same, snapshot_properties=_summary(_offsets_of(table)))
            _drop_history(table)

    def remove(self, topic: Topic, subjects: Collection[str]) -> None:
        if (table := self._tables.get(topic.name)) is not None and table.current_snapshot() is not None:
            table.delete(_in("ce_subject", subjects), snapshot_properties=_summary(_offsets_of(table)))
            _drop_history(table)

    def release(self) -> None:
        """Readers need nothing."""

    def _table(self, topic: Topic, schema: pa.Schema) -> Table:
        """The topic's table, with the columns that later contracts have added."""
        if topic.name in self._current:
            return self._tables[topic.name]
        place = (NAMESPACE, table_name(topic))
        try:
            table = self._catalog.load_table(place)
            with table.update_schema() as change:
                change.union_by_name(schema)
        except NoSuchTableError:
            properties = {**_PROPERTIES, TOPIC: topic.name, "comment": topic.about}
            new = self._catalog.create_table_transaction(place, schema, properties=properties)
            with new as transaction, transaction.update_spec() as spec:
                spec.add_field("ce_time", DayTransform(), "day")
            table = self._catalog.load_table(place)
        self._tables[topic.name] = table
        self._current.add(topic.name)
        return table


def _summary(offsets: Mapping[int, int]) -> dict[str, str]:
    return {OFFSETS: json.dumps({str(partition): offset for partition, offset in sorted(offsets.items())})}


def _offsets_of(table: Table) -> dict[int, int]:
    """The offsets of the newest snapshot that has any: others may have compacted the table since. Raises UserError if it
    has rows but no snapshot tells the offsets."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        if snapshot.summary is not None and (told := snapshot.summary.additional_properties.get(OFFSETS)):
            return {int(partition): offset for partition, offset in json.loads(told).items()}
        if snapshot.parent_snapshot_id is None:
            return {}
        snapshot = table.snapshot_by_id(snapshot.parent_snapshot_id)
        if snapshot is None:
            raise UserError(
                f"no snapshot of {'.'.join(table.name())} says how far it goes: they were expired after a change by "
                "others. Export to a new folder"
            )
    return {}


def _in(column: str, values: Iterable[str]) -> BooleanExpression:
    expression: BooleanExpression = cast(Any, In)(column, set(values))  # mypy takes its method for another one
    return expression


def _any_of(conditions: Iterable[BooleanExpression]) -> BooleanExpression:
    first, *more = conditions
    for each in more:
        first = Or(first, each)
    return first


def _drop_history(table: Table) -> None:
    """Leaves the current snapshot and its files. Everything else goes, also what a crash left behind."""
    needed: set[str] = set()
    if (current := table.current_snapshot()) is not None:
        old = [each.snapshot_id for each in table.snapshots() if each.snapshot_id != current.snapshot_id]
        if old:
            table.maintenance.expire_snapshots().by_ids(old).commit()
            table.refresh()
        manifests = current.manifests(table.io)
        entries = [entry for manifest in manifests for entry in manifest.fetch_manifest_entry(table.io)]
        needed = {current.manifest_list, *(manifest.manifest_path for manifest in manifests)}
        needed |= {entry.data_file.file_path for entry in entries}
    assert isinstance(table.io, PyArrowFileIO)
    scheme, host, folder = table.io.parse_location(table.location())
    files = table.io.fs_by_scheme(scheme, host)
    paths = {table.io.parse_location(path)[2] for path in needed}
    for file in files.get_file_info(FileSelector(folder, recursive=True)):
        if file.is_file and file.path not in paths and not file.path.endswith(".metadata.json"):
            files.delete_file(file.path)
