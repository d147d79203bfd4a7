"""`makegood topics export`: events a second on one core, memory, and how far `--follow` is behind.

    python benchmarks/export.py [--events 1000000] [--runs 3] [--formats parquet duckdb iceberg] [--core 0]
    python benchmarks/export.py --follow 60 [--rate 1000] [--formats …]
    taskset --cpu-list 0 python benchmarks/export.py --parts     # without a broker: processor time of conversion and commit

The command is the one that people run, bound to one core with `taskset`. Broker and producer have the others. Every type of event
that can be exported has the same share. Each record has its own id, entity and moment, at ten million a year. After each run
every row is counted. Servers: `--kafka HOST:PORT`, or what the tests would start.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from makegood_cli.export.converting import Converter
from makegood_cli.export.folder import FORMATS, ExportFolder
from makegood_cli.export.running import EXPORTED, open_store
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.topics import Topic
from makegood_stack.kafka import make_topics
from makegood_testkit.folders import temporary_folder
from makegood_testkit.servers import decide, servers

KINDS = [kind for kind in EVENT_TYPES.values() if kind.topic in EXPORTED and kind.__name__ != "PersonErased"]
FROM = datetime.now(UTC) - timedelta(days=365)  # brokers take no records of the future
BETWEEN = timedelta(days=365) / 10_000_000
"""Time between two events: of a platform with ten million of them in a year."""
_BATCH = 900 << 10
"""Bytes of a batch, at most."""


class Filling:
    """Records of one topic, made from examples: ids and moments are exchanged in the bytes, which is fast."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.kinds = [kind for kind in KINDS if kind.topic == topic]
        self._records = itertools.cycle([self._template(kind) for kind in self.kinds])

    @staticmethod
    def _template(kind: type[Event]) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        record = encode(example_of(kind), sequence=1, cause=Cause.begin())
        return record.key.encode(), record.value, [(name, value.encode()) for name, value in record.headers]

    def record(self, number: int, moment: datetime) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        key, value, headers = next(self._records)
        # Ids are UUIDs or words such as `member-1`; a policy's scope is one of a few words, and stays.
        own = key[:-12] + b"%012x" % number if len(key) == 36 else key + b"%x" % number if b"-" in key else key
        if own != key:
            value = value.replace(key, own)
        exchanged = {
            "ce_id": str(uuid.uuid4()).encode(),
            "ce_subject": own,
            "ce_time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z").encode(),
        }
        return own, value, [(name, exchanged.get(name, old)) for name, old in headers]


async def fill(servers_: str, prefix: str, events: int) -> int:
    """Writes so many events, oldest first. Returns how many bytes their values, keys and headers have."""
    producer = AIOKafkaProducer(bootstrap_servers=servers_, compression_type="gzip", max_batch_size=_BATCH, acks=1)
    await producer.start()
    fillings = [Filling(topic) for topic in EXPORTED]
    fillings = [each for each in fillings if each.kinds]
    shares = [events * len(each.kinds) // len(KINDS) for each in fillings]
    shares[0] += events - sum(shares)
    written, size = [0] * len(fillings), 0
    sent: set[asyncio.Future[object]] = set()
    turn = itertools.count()
    while sum(written) < events:
        # The topic that is furthest behind is next, so that all of them go through the days together.
        index = min(range(len(fillings)), key=lambda each: written[each] / max(1, shares[each]))
        filling, batch = fillings[index], producer.create_batch()
        while written[index] < shares[index]:
            moment = FROM + BETWEEN * (events * written[index] // shares[index])
            key, value, headers = filling.record(written[index] + 1, moment)
            if batch.append(key=key, value=value, headers=headers, timestamp=int(moment.timestamp() * 1000)) is None:
                break
            size += len(key) + len(value) + sum(len(name) + len(each) for name, each in headers)
            written[index] += 1
        batch.close()
        partition = next(turn) % filling.topic.partitions
        sent.add(await producer.send_batch(batch, prefix + filling.topic.name, partition=partition))
        if len(sent) >= 32:
            _, sent = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*sent)
    await producer.stop()
    return size


@dataclass(frozen=True)
class Run:
    seconds: float
    processor: float
    """Seconds of processor time."""
    memory: int
    """The most that it had in memory at once, bytes."""


def command(folder: Path, kind: str, core: int, *words: str) -> list[str]:
    export = [sys.executable, "-m", "makegood_cli.main", "topics", "export", str(folder), "--format", kind, *words]
    return ["taskset", "--cpu-list", str(core), *export]


def environment(folder: Path, kafka: str, prefix: str) -> dict[str, str]:
    home = str(folder.parent / "home")
    return os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC_PREFIX": prefix, "MAKEGOOD_HOME": home}


def run(words: Sequence[str], settings: dict[str, str]) -> Run:
    begun = time.perf_counter()
    process = subprocess.Popen(words, env=settings)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the export ended with exit code {process.returncode}")
    return Run(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def rows(folder: Path, kind: str) -> int:
    """How many rows the tables have, and as many different ids."""
    with duckdb.connect() as connection:
        if kind == "parquet":
            found = sorted({path.parent.parent for path in folder.glob("*/day=*/*.parquet")})
            tables = [f"read_parquet('{each}/*/*.parquet', hive_partitioning = false)" for each in found]
        elif kind == "duckdb":
            connection.execute(f"ATTACH '{folder / 'makegood.duckdb'}' AS export (READ_ONLY)")
            named = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'export'"
            ).fetchall()
            tables = [f"export.{name}" for (name,) in named if name != "export_offsets"]
        else:
            tables = [f"read_parquet({files!r})" for files in _iceberg_files(folder)]
        total = 0
        for table in tables:
            one = connection.execute(f"SELECT count(*), count(DISTINCT ce_id) FROM {table}").fetchone()
            assert one is not None
            assert one[0] == one[1], f"{table} has rows twice"
            total += one[0]
    return total


def _iceberg_files(folder: Path) -> Iterator[list[str]]:
    from pyiceberg.catalog.sql import SqlCatalog

    address = f"sqlite:///{folder.resolve() / 'catalog.db'}"
    catalog = SqlCatalog("makegood", uri=address, warehouse=(folder.resolve() / "warehouse").as_uri())
    for place in catalog.list_tables("makegood"):
        if files := [
            each.file.file_path.removeprefix("file://") for each in catalog.load_table(place).scan().plan_files()
        ]:
            yield files
    catalog.close()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def throughput(arguments: argparse.Namespace, kafka: str, base: Path) -> None:
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    asyncio.run(topics(kafka, prefix))
    begun = time.perf_counter()
    size = asyncio.run(fill(kafka, prefix, arguments.events))
    print(
        f"{arguments.events:,} events of {len(KINDS)} types, {size / arguments.events:.0f} bytes each, written in "
        f"{time.perf_counter() - begun:.0f} s",
        flush=True,
    )
    for kind in arguments.formats:
        runs = []
        for number in range(arguments.runs):
            folder = base / f"{kind}-{number}"
            runs.append(run(command(folder, kind, arguments.core), environment(folder, kafka, prefix)))
            found = rows(folder, kind)
            assert found == arguments.events, f"{found:,} rows of {arguments.events:,}"
            one = runs[-1]
            print(
                f"{kind}: {arguments.events / one.seconds:,.0f} events/s, {1e6 * one.processor / arguments.events:.1f} us of "
                f"processor an event, {one.memory / 1e6:,.0f} MB of memory, {size_of(folder) / 1e6:,.0f} MB of files",
                flush=True,
            )
            shutil.rmtree(folder)
        rates = [arguments.events / one.seconds for one in runs]
        print(f"{kind}: median of {len(runs)}: {statistics.median(rates):,.0f} events/s", flush=True)


async def topics(kafka: str, prefix: str) -> None:
    await make_topics(
        kafka,
        [NewTopic(prefix + each.name, each.partitions, 1, topic_configs=dict(each.settings)) for each in EXPORTED],
    )


@dataclass(frozen=True)
class _Record:
    """What the export uses of a record of aiokafka."""

    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def parts(arguments: argparse.Namespace, base: Path, rows_: int = 100_000) -> None:
    """The export's own work in commits of 100,000 events: from records to columns, and from columns to tables."""
    records: dict[Topic, list[_Record]] = {}
    for filling in (Filling(topic) for topic in EXPORTED):
        share = rows_ * len(filling.kinds) // len(KINDS)
        for number in range(share):
            moment = FROM + BETWEEN * (rows_ * number // share)
            key, value, headers = filling.record(number + 1, moment)
            made = _Record(0, number, int(moment.timestamp() * 1000), key, value, tuple(headers))
            records.setdefault(filling.topic, []).append(made)
    count = sum(map(len, records.values()))
    for number in range(arguments.runs):
        begun = time.process_time()
        tables = {}
        for topic, some in records.items():
            converter = Converter(topic)
            for record in some:
                converter.add(record)
            tables[topic] = converter.take()
            assert tables[topic].num_rows == len(some)
        print(f"to columns: {1e6 * (time.process_time() - begun) / count:.1f} us of processor an event", flush=True)
        for kind in arguments.formats:
            folder = ExportFolder(base / f"{kind}-{number}")
            with folder.locked():
                store = open_store(folder, folder.begin(kind))
                begun = time.process_time()
                store.commit(tables, {topic.name: {0: len(some)} for topic, some in records.items()})
                took = time.process_time() - begun
                store.release()
            print(f"{kind}: {1e6 * took / count:.1f} us of processor an event", flush=True)


def visible(folder: Path, kind: str) -> int | None:
    """How many records a reader of the tables sees; None if it cannot look at this moment."""
    if not folder.exists():
        return None
    if kind == "parquet":
        path = folder / "_makegood" / "manifest.json"
        if not path.exists():
            return 0
        return sum(sum(parts.values()) for parts in json.loads(path.read_text())["offsets"].values())
    if kind == "duckdb":
        try:
            with duckdb.connect(folder / "makegood.duckdb", read_only=True) as connection:
                found = connection.execute(
                    "SELECT coalesce(sum(next_offset), 0)::bigint FROM export_offsets"
                ).fetchone()
                return int(found[0]) if found else 0
        except duckdb.Error:  # it is being written
            return None
    from makegood_cli.export.iceberg import IcebergStore

    return sum(sum(parts.values()) for parts in IcebergStore(ExportFolder(folder)).offsets().values())


def follow(arguments: argparse.Namespace, kafka: str, base: Path) -> None:
    """A constant stream of events; every half second, how old the oldest event is that the tables do not have."""
    for kind in arguments.formats:
        prefix = f"bench-{uuid.uuid4().hex[:8]}."
        asyncio.run(topics(kafka, prefix))
        folder = base / f"{kind}-follow"
        words = command(folder, kind, arguments.core, "--follow")
        process = subprocess.Popen(words, env=environment(folder, kafka, prefix), stdout=subprocess.DEVNULL)
        try:
            behind = asyncio.run(_stream(arguments, kafka, prefix, folder, kind))
        finally:
            process.send_signal(signal.SIGINT)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        told = sorted(behind)
        print(
            f"{kind}: at {arguments.rate:g} events/s for {arguments.follow:g} s behind by {statistics.median(told):.1f} s (median), "
            f"{told[-1]:.1f} s (most); {100 * (usage.ru_utime + usage.ru_stime) / arguments.follow:.0f} % of the core, "
            f"{usage.ru_maxrss / 1e3:,.0f} MB of memory",
            flush=True,
        )


async def _stream(arguments: argparse.Namespace, kafka: str, prefix: str, folder: Path, kind: str) -> list[float]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5)
    await producer.start()
    fillings = itertools.cycle([Filling(topic) for topic in EXPORTED if any(kind.topic == topic for kind in KINDS)])
    sent: list[float] = []
    behind: list[float] = []

    async def look() -> None:
        while True:
            await asyncio.sleep(0.5)
            there = await asyncio.to_thread(visible, folder, kind)
            now = time.monotonic()
            if there is not None and there > arguments.rate:  # it has started
                behind.append(now - sent[there] if there < len(sent) else 0.0)

    looking = asyncio.create_task(look())
    begun = time.monotonic()
    for number in range(int(arguments.follow * arguments.rate)):
        if (pause := begun + number / arguments.rate - time.monotonic()) > 0.002:
            await asyncio.sleep(pause)
        filling = next(fillings)
        key, value, headers = filling.record(number, datetime.now(UTC))
        await producer.send(prefix + filling.topic.name, value, key=key, headers=headers)
        sent.append(time.monotonic())
    await producer.stop()
    last = time.monotonic()
    while await asyncio.to_thread(visible, folder, kind) != len(sent):
        if looking.done() or time.monotonic() - last > 60:
            raise SystemExit(f"{kind}: the tables never had everything")
        await asyncio.sleep(0.1)
    behind.append(time.monotonic() - last)
    looking.cancel()
    return behind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--core", type=int, default=0, help="the export's core")
    parser.add_argument("--parts", action="store_true", help="the export's own processor time, without a broker")
    parser.add_argument("--follow", type=float, metavar="SECONDS", help="measure --follow for so long instead")
    parser.add_argument("--rate", type=float, default=1000, help="events a second with --follow")
    arguments = parser.parse_args()
    others = os.sched_getaffinity(0) - {arguments.core}
    if others and not arguments.parts:
        os.sched_setaffinity(0, others)
    with ExitStack() as stack:
        base = stack.enter_context(temporary_folder())
        if arguments.parts:
            parts(arguments, base)
            return
        kafka = arguments.kafka or stack.enter_context(servers(decide())).kafka()
        (follow if arguments.follow else throughput)(arguments, kafka, base)


if __name__ == "__main__":
    main()
