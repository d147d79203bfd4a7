"""Events on a real broker, and what an export of them must hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import AIOKafkaProducer
from makegood_cli.export.folder import FORMATS, Format
from makegood_cli.export.reading import reading
from makegood_cli.export.running import EXPORTED, Options, Outcome, run
from makegood_cli.export.store import table_name
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.publishing.examples import example_of
from rich.console import Console

__all__ = ["FORMATS"]
KINDS = [kind for kind in EVENT_TYPES.values() if kind.topic in EXPORTED and kind.__name__ != "PersonErased"]


@dataclass
class Exports:
    """Writes events to the test's topics, and runs `makegood topics export` on them."""

    servers: str
    prefix: str

    async def publish(self, *events: Event) -> None:
        await self.send(encode(event, sequence=at, cause=Cause.begin()) for at, event in enumerate(events, 1))

    async def send(self, records: Iterable[Record]) -> None:
        await self.send_raw(
            (r.topic, r.key.encode(), [(n, v.encode()) for n, v in r.headers], r.value) for r in records
        )

    async def send_raw(self, records: Iterable[tuple[str, bytes | None, Sequence[Any], bytes | None]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, enable_idempotence=True)
        await producer.start()
        try:
            waits = [
                await producer.send(self.prefix + topic, value, key=key, headers=headers)
                for topic, key, headers, value in records
            ]
            for each in waits:
                await each
        finally:
            await producer.stop()

    def command(self, folder: Path, *words: str) -> list[str]:
        return [sys.executable, "-m", "makegood_cli.main", "topics", "export", str(folder), *words]

    def environment(self, folder: Path) -> dict[str, str]:
        home = folder.parent / "home"
        return os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers, "KAFKA_TOPIC_PREFIX": self.prefix, "MAKEGOOD_HOME": str(home),
        }  # fmt: skip

    def command_line(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(folder, *words), capture_output=True, text=True, check=False,
            env=self.environment(folder), timeout=120,
        )  # fmt: skip

    async def run(self, folder: Path, kind: Format, **options: Any) -> Outcome:
        return await run(Options(folder, format=kind, **options), self.servers, self.prefix, Console(file=StringIO()))


def every_event(times: int = 1) -> list[Event]:
    return [example_of(kind) for _ in range(times) for kind in KINDS]


def tables(folder: Path, kind: str) -> dict[str, pa.Table]:
    """What a reader of the export sees, by table."""
    if kind == "parquet":
        names = sorted({path.parent.parent.name for path in folder.glob("*/day=*/*.parquet")})
        return {
            name: pa.concat_tables(
                pq.read_table(p, partitioning=None) for p in sorted((folder / name).rglob("*.parquet"))
            )
            for name in names
        }
    if kind == "duckdb":
        import duckdb

        with duckdb.connect(folder / "makegood.duckdb", read_only=True) as connection:
            names = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            return {n: connection.sql(f"FROM {n}").to_arrow_table() for n in names if n != "export_offsets"}
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog(
        "makegood", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=(folder / "warehouse").as_uri()
    )
    found = {
        name: catalog.load_table((space, name)).scan().to_arrow() for space, name in catalog.list_tables("makegood")
    }
    catalog.close()
    return found


def places(folder: Path, kind: str) -> dict[str, list[tuple[int, int]]]:
    """Partition and offset of each row, by table, in order."""
    return {
        name: sorted(zip(t["kafka_partition"].to_pylist(), t["kafka_offset"].to_pylist(), strict=True))
        for name, t in tables(folder, kind).items()
        if t.num_rows
    }


def wanted_places(ends: dict[str, dict[int, int]]) -> dict[str, list[tuple[int, int]]]:
    """Every record once, given the next offset of each partition by topic."""
    return {
        table_name(topic): [(p, o) for p, end in sorted(ends[topic.name].items()) for o in range(end)]
        for topic in EXPORTED
        if any(ends.get(topic.name, {}).values())
    }


async def ends(exports: Exports) -> dict[str, dict[int, int]]:
    """The next offset of each partition, by topic."""
    async with reading(exports.servers, [exports.prefix + topic.name for topic in EXPORTED]) as consumer:
        found: dict[str, dict[int, int]] = {}
        for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
            found.setdefault(str(partition.topic).removeprefix(exports.prefix), {})[partition.partition] = end
    return found


def changed(event: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(event, **changes)


def quarantined(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "quarantine").glob("*/*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def naming(folder: Path, person: str) -> list[Path]:
    """Files whose bytes name the person; those of Parquet are read, because they are compressed."""
    found = []
    for path in (each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        if person.encode() in content or person[:16].encode() in content:
            found.append(path)
    return found
