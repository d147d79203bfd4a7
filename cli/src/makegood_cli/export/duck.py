"""DuckDB: one table for each topic in `makegood.duckdb`. Rows and offsets change in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import tenacity
from makegood_contracts.topics import Topic
from makegood_devtools.errors import UserError

from makegood_cli.export.folder import ExportFolder
from makegood_cli.export.personal import PEOPLE, pseudonymised
from makegood_cli.export.store import Offsets, table_name

NAME: Final = "makegood.duckdb"
OFFSETS: Final = "export_offsets"
_PATIENCE: Final = 60.0


class DuckStore:
    """Tables in a DuckDB file. DuckDB lets in either one writer or readers, so the file is held during commits only."""

    def __init__(self, folder: ExportFolder) -> None:
        self._path = folder.path / NAME
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._known: set[str] = set()
        for left in self._path.parent.glob(f"{self._fresh.name}*"):
            left.unlink()  # a crash left it behind
        self._opened().execute(
            f"CREATE TABLE IF NOT EXISTS {OFFSETS} "
            "(topic VARCHAR, kafka_partition INTEGER, next_offset BIGINT, PRIMARY KEY (topic, kafka_partition))"
        )

    def offsets(self) -> Offsets:
        found: Offsets = {}
        for topic, partition, offset in self._opened().execute(f"FROM {OFFSETS}").fetchall():
            found.setdefault(topic, {})[partition] = offset
        return found

    def commit(self, tables: Mapping[Topic, pa.Table], offsets: Offsets) -> None:
        connection = self._opened()
        connection.execute("BEGIN")
        for topic, table in tables.items():
            self._prepare(topic, table)
            connection.register("new_rows", table)
            connection.execute(f"INSERT INTO {table_name(topic)} BY NAME FROM new_rows")
            connection.unregister("new_rows")
        rows = [(topic, part, offset) for topic, parts in offsets.items() for part, offset in parts.items()]
        if rows:
            connection.executemany(f"INSERT OR REPLACE INTO {OFFSETS} VALUES (?, ?, ?)", rows)  # noqa: S608 - our name
        connection.execute("COMMIT")

    def forget(self, pseudonyms: Mapping[str, str]) -> None:
        connection = self._opened()
        people = {"ids": list(pseudonyms)}
        connection.execute("BEGIN")
        for name in self._tables():
            columns = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall() if row[0] in PEOPLE]
            theirs = " OR ".join(f"list_contains($ids, {column})" for column in columns)
            rows: pa.Table = connection.sql(f"FROM {name} WHERE {theirs}", params=people).to_arrow_table()
            if rows.num_rows:
                connection.execute(f"DELETE FROM {name} WHERE {theirs}", people)  # noqa: S608 - names of the contracts
                connection.register("new_rows", pseudonymised(rows, pseudonyms))
                connection.execute(f"INSERT INTO {name} BY NAME FROM new_rows")
                connection.unregister("new_rows")
        connection.execute("COMMIT")
        self._write_again()

    def remove(self, topic: Topic, subjects: Collection[str]) -> None:
        name = table_name(topic)
        if name in self._tables():
            gone = f"DELETE FROM {name} WHERE list_contains($ids, ce_subject)"  # noqa: S608 - a name of the contracts
            self._opened().execute(gone, {"ids": list(subjects)})
            self._write_again()

    def _tables(self) -> list[str]:
        found = self._opened().execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return [name for (name,) in found if name != OFFSETS]

    def _write_again(self) -> None:
        """Writes the whole file again, because DuckDB leaves deleted values in it."""
        connection = self._opened()
        connection.execute(f"ATTACH '{self._quoted(self._fresh)}' AS fresh")
        connection.execute("COPY FROM DATABASE makegood TO fresh")
        connection.execute("DETACH fresh")
        self.release()
        self._fresh.replace(self._path)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _fresh(self) -> Path:
        return self._path.with_suffix(".fresh")

    @staticmethod
    def _quoted(path: Path) -> str:
        return str(path).replace("'", "''")

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = _connect(self._path)
            self._connection.execute(
                "SET memory_limit = '1GB'; SET preserve_insertion_order = false; SET TimeZone = 'UTC'"
            )
        return self._connection

    def _prepare(self, topic: Topic, table: pa.Table) -> None:
        """Makes the topic's table, or adds what later contracts have added."""
        name = table_name(topic)
        if name in self._known:
            return
        connection = self._opened()
        connection.register("columns", table.schema.empty_table())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM columns")
        wanted = {row[0]: row[1] for row in connection.execute("DESCRIBE columns").fetchall()}
        had = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {name}").fetchall()}
        connection.unregister("columns")
        for column, kind in wanted.items():
            if column not in had:
                connection.execute(f'ALTER TABLE {name} ADD COLUMN "{column}" {kind}')
            elif had[column] != kind:
                connection.execute(f'ALTER TABLE {name} ALTER COLUMN "{column}" TYPE {kind}')
        self._known.add(name)


@tenacity.retry(
    retry=tenacity.retry_if_exception(
        lambda error: "lock" in str(error).lower() and isinstance(error, duckdb.IOException)
    ),
    wait=tenacity.wait_fixed(0.2),
    stop=tenacity.stop_after_delay(_PATIENCE),
    retry_error_callback=lambda state: _give_up(state),
)
def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path)


def _give_up(state: tenacity.RetryCallState) -> duckdb.DuckDBPyConnection:
    raise UserError(f"another program has had {state.args[0]} open for {_PATIENCE:.0f} s. Close it and run this again")
