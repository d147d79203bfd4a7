"""One run of an export, from its options to its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from makegood_chassis.kafka_connection import Brokers
from makegood_contracts.topics import ACCESS, EVENT_TOPICS, PEOPLE, STATE_TOPICS, Topic
from rich.console import Console

from makegood_cli.export.converting import Check
from makegood_cli.export.folder import ExportFolder, Format
from makegood_cli.export.personal import Pseudonyms
from makegood_cli.export.progress import Progress
from makegood_cli.export.quarantine import Quarantine
from makegood_cli.export.reading import Exporter, Limits, export, reading
from makegood_cli.export.store import Store, table_name

EXPORTED = tuple(topic for topic in (*EVENT_TOPICS, *STATE_TOPICS) if topic not in ACCESS.values())
"""What can be exported: what the Kafka user `data-team` may read."""


@dataclass(frozen=True, slots=True)
class Options:
    """`format` None: that of the folder, or Parquet. `catalog` and `warehouse` are for Iceberg."""

    path: Path
    topics: Sequence[Topic] = EXPORTED
    format: Format | None = None
    follow: bool = False
    catalog: str | None = None
    warehouse: str | None = None
    check: Check | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`quarantined`: records in the quarantine folder, from this run and earlier ones."""

    format: Format
    records: int
    seconds: float
    quarantined: int


async def run(options: Options, brokers: Brokers, prefix: str, console: Console) -> Outcome:
    """Exports. Raises UserError if that is not possible."""
    folder = ExportFolder(options.path)
    with folder.locked(), Progress(console) as progress:
        chosen = folder.begin(options.format)
        # Erasures come over the topic of people, so it is always read.
        topics = [topic for topic in EXPORTED if topic in options.topics or topic == PEOPLE]
        store = open_store(folder, chosen, options.catalog, options.warehouse)
        quarantine = Quarantine(folder)
        quarantine.discard_from(store.offsets(), {table_name(topic): topic.name for topic in EXPORTED})
        exporter = Exporter(topics, store, quarantine, Pseudonyms(folder), check=options.check, limits=options.limits)
        try:
            async with reading(brokers, [prefix + topic.name for topic in topics]) as consumer:
                await export(consumer, exporter, store, progress, prefix=prefix, follow=options.follow)
        finally:
            store.release()
        return Outcome(chosen, progress.done, progress.seconds, quarantine.count())


def forget(path: Path, people: Sequence[str], catalog: str | None, warehouse: str | None) -> None:
    """Makes an export forget people, as if their erasure had come over the topics. Raises UserError."""
    folder = ExportFolder(path)
    with folder.locked():
        store = open_store(folder, folder.begin(None), catalog, warehouse)
        pseudonyms = Pseudonyms(folder).add(people)
        store.forget(pseudonyms)
        Quarantine(folder).forget(pseudonyms)
        store.release()


def open_store(folder: ExportFolder, chosen: Format, catalog: str | None = None, warehouse: str | None = None) -> Store:
    """The store of this format. Its library is imported only now, because each takes a while."""
    if chosen == "parquet":
        from makegood_cli.export.parquet import ParquetStore

        return ParquetStore(folder)
    if chosen == "duckdb":
        from makegood_cli.export.duck import DuckStore

        return DuckStore(folder)
    from makegood_cli.export.iceberg import IcebergStore

    return IcebergStore(folder, catalog, warehouse)
