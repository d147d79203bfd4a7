"""What a piece of work costs, as counts: statements, blocks, transactions, rows and WAL of each service's database, what the
broker writes, events, and HTTP requests.

    async with Meter(platform) as meter:
        async with meter.counting() as costs:
            ...  # the work; the platform must have finished it before the block ends
        print(costs.per(20))  # for each of twenty pieces of work

Counts do not depend on how fast the machine is. The platform is first measured while it is idle. The statements that it
runs then, such as looking for deadlines, `BEGIN` and `COMMIT`, and the tables that it changes then, such as leases, are
left out. So are the statements with which a test reads the development clock, and those with which the driver asks for the
types of a new connection. PostgreSQL and Kafka must be embedded: `pg_stat_statements` and `pg_walinspect` count, and the
broker's log is read.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

import asyncpg
import httpx
from makegood_contracts.topics import TOPICS
from makegood_stack import kafka, postgres
from makegood_stack.ports import LISTEN, PROBES_ABOVE, SERVICES
from makegood_stack.topic_state import partition_ends
from prometheus_client.parser import text_string_to_metric_families

from makegood_testkit.broker_log import Written, written
from makegood_testkit.platform import Platform
from makegood_testkit.waiting import eventually

_IDLE_SECONDS: Final = 5.0
_STATEMENTS: Final = """
    SELECT d.datname, s.queryid, s.calls, s.shared_blks_hit + s.shared_blks_read AS blocks
    FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
    WHERE d.datname LIKE 'makegood%'
"""
_CONTROL: Final = """
    SELECT d.datname, s.queryid FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
    WHERE s.query IN ('BEGIN', 'COMMIT', 'ROLLBACK') OR s.query LIKE 'WITH RECURSIVE typeinfo_tree%'
"""
_UNSENT: Final = "SELECT EXISTS (SELECT FROM state_changes) AS unsent"
_POSITION: Final = "SELECT pg_current_wal_insert_lsn()"
# A WAL record of a row names the block of its table. An update to another page names two, so each record counts once.
_ROWS: Final = """
    SELECT reldatabase, relfilenode, record_type, count(DISTINCT start_lsn) AS rows
    FROM pg_get_wal_block_info($1, $2, false)
    WHERE resource_manager = 'Heap' AND relforknumber = 0
    GROUP BY reldatabase, relfilenode, record_type
"""
# Without copies of whole pages: how many there are depends on when the last checkpoint was.
_TRANSACTIONS: Final = """
    WITH idle AS (
        SELECT b.xid FROM pg_get_wal_block_info($1, $2, false) AS b
        JOIN unnest($3::oid[], $4::oid[]) AS t (database, file) ON (b.reldatabase, b.relfilenode) = (t.database, t.file)
    )
    SELECT count(DISTINCT xid::text) AS transactions, sum(record_length - fpi_length) AS bytes
    FROM pg_get_wal_records_info($1, $2) WHERE xid::text <> '0' AND xid::text NOT IN (SELECT xid::text FROM idle)
"""
_TABLES: Final = """
    SELECT d.oid, c.relfilenode, c.relname
    FROM pg_class AS c JOIN pg_database AS d ON d.datname = current_database()
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
"""
_REQUESTS: Final = "http_server_request_duration_seconds_count"
_EFFECTS: Final = {
    "INSERT": "inserted",
    "INSERT+INIT": "inserted",
    "UPDATE": "updated",
    "UPDATE+INIT": "updated",
    "HOT_UPDATE": "updated_hot",
    "DELETE": "deleted",
}
"""What each type of WAL record does to a row."""


class Query(NamedTuple):
    """A statement without its values."""

    database: str
    queryid: int


@dataclass
class Costs:
    """Counts of one block of work."""

    statements: Counter[str] = field(default_factory=Counter)
    """Round trips to PostgreSQL, by service."""
    blocks: Counter[str] = field(default_factory=Counter)
    """Blocks of tables and indexes that these statements looked at, by service. More rows must not mean many more blocks."""
    rows: Counter[str] = field(default_factory=Counter)
    """`inserted`, `updated`, `updated_hot` (no index was touched) and `deleted`, in all databases."""
    rows_by_table: Counter[str] = field(default_factory=Counter)
    """The same by table, such as `booking.inbox inserted`."""
    events: Counter[str] = field(default_factory=Counter)
    """Records, by topic."""
    requests: Counter[str] = field(default_factory=Counter)
    """HTTP requests, by service and operation, such as `booking POST /v1/sessions`."""
    batches: Counter[str] = field(default_factory=Counter)
    """Record batches that the broker wrote, by topic. A producer's request adds one to each partition that it writes to."""
    totals: Counter[str] = field(default_factory=Counter)
    """`writing_transactions`: those that changed anything; `wal_bytes`: what they wrote; `broker_bytes`: what the broker
    wrote to its topics, offsets included.
    """

    def per(self, pieces: int) -> dict[str, dict[str, float]]:
        """The counts per piece of work, rounded to two digits, without zeros."""
        return {
            name: {key: share for key, value in sorted(counts.items()) if (share := round(value / pieces, 2))}
            for name, counts in vars(self).items()
        }


@dataclass(frozen=True)
class _Look:
    at: float
    calls: Counter[Query]
    blocks: Counter[Query]
    events: Counter[str]
    requests: Counter[str]
    broker: Written
    lsn: str


class Meter:
    """Counts on the servers of one platform. An asynchronous context manager."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stack = platform.stack
        self._port = self._stack.ports.of(postgres.NAME)
        self._tables: dict[tuple[int, int], str] = {}
        self.idle_statements: defaultdict[str, float] = defaultdict(float)
        """Statements a second of the idle platform, by service."""

    async def __aenter__(self) -> Self:
        self._admin = await asyncpg.connect(postgres.admin_url(self._port))
        for extension in ("pg_stat_statements", "pg_walinspect"):
            await self._admin.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        for service in SERVICES:
            database = await asyncpg.connect(postgres.admin_url(self._port, f"makegood_{service}"))
            for oid, relfilenode, name in await database.fetch(_TABLES):
                self._tables[oid, relfilenode] = f"{service}.{name}"
            await database.close()
        before = await self._look()
        await asyncio.sleep(_IDLE_SECONDS)
        after = await self._look()
        asked = after.calls - before.calls
        for query, calls in asked.items():
            self.idle_statements[query.database.removeprefix("makegood_")] += calls / (after.at - before.at)
        await self._platform.now()
        await self._states_sent()
        asked_by_tests = (await self._look()).calls - after.calls
        self._asked_when_idle = {*asked, *asked_by_tests, *(Query(*row) for row in await self._admin.fetch(_CONTROL))}
        self._changed_when_idle = {table for table, _ in await self._rows(before, after)}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._admin.close()

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[Costs]:
        """At the end of the block, fills in the costs of what happened in it."""
        await self._states_sent()
        costs, before = Costs(), await self._look()
        yield costs
        await self._states_sent()
        after = await self._look()
        costs.events = after.events - before.events
        costs.requests = after.requests - before.requests
        costs.batches = after.broker.batches - before.broker.batches
        idle = [key for key, table in self._tables.items() if table in self._changed_when_idle]
        changes = await self._admin.fetchrow(_TRANSACTIONS, before.lsn, after.lsn, *map(list, zip(*idle, strict=True)))
        assert changes is not None
        costs.totals.update(wal_bytes=int(changes["bytes"]), writing_transactions=changes["transactions"])
        costs.totals["broker_bytes"] = (after.broker.bytes - before.broker.bytes).total()
        for query, calls in (after.calls - before.calls).items():
            if query not in self._asked_when_idle:
                service = query.database.removeprefix("makegood_")
                costs.statements[service] += calls
                costs.blocks[service] += after.blocks[query] - before.blocks[query]
        for (table, effect), count in (await self._rows(before, after)).items():
            if table not in self._changed_when_idle:
                costs.rows[effect] += count
                costs.rows_by_table[f"{table} {effect}"] += count

    async def _states_sent(self) -> None:
        """Waits until the state of whatever has changed is on its topic."""
        for service in SERVICES:
            database = await asyncpg.connect(postgres.admin_url(self._port, f"makegood_{service}"))

            async def sent(database: asyncpg.Connection[asyncpg.Record] = database) -> bool:
                return not await database.fetchval(_UNSENT)

            try:
                await eventually(sent, seconds=90, what=f"states of {service} to be sent")
            finally:
                await database.close()

    async def _rows(self, before: _Look, after: _Look) -> Counter[tuple[str, str]]:
        rows: Counter[tuple[str, str]] = Counter()
        for oid, relfilenode, record, count in await self._admin.fetch(_ROWS, before.lsn, after.lsn):
            if (table := self._tables.get((oid, relfilenode))) and (effect := _EFFECTS.get(record)):
                rows[table, effect] += count
        return rows

    async def _look(self) -> _Look:
        rows = await self._admin.fetch(_STATEMENTS)
        calls, blocks = (Counter({Query(*row[:2]): row[name] for row in rows}) for name in ("calls", "blocks"))
        at = time.monotonic()
        ends = await self._ends(topic.name for topic in TOPICS)
        broker = written(self._stack.home.state / kafka.NAME / "data")
        return _Look(at, calls, blocks, ends, await self._requests(), broker, await self._admin.fetchval(_POSITION))

    async def _requests(self) -> Counter[str]:
        found: Counter[str] = Counter()
        async with httpx.AsyncClient() as client:
            for service in SERVICES:
                port = self._stack.ports.of(service) + PROBES_ABOVE
                metrics = (await client.get(f"http://{LISTEN}:{port}/metrics")).raise_for_status().text
                for sample in (one for family in text_string_to_metric_families(metrics) for one in family.samples):
                    if sample.name == _REQUESTS:
                        labels = sample.labels
                        route = labels["http_route"]
                        if (
                            route.startswith("/v1/") and "/dev/" not in route
                        ):  # not those of probes and of the test itself
                            found[f"{service} {labels['http_request_method']} {route}"] += int(sample.value)
        return found

    async def _ends(self, topics: Iterable[str]) -> Counter[str]:
        ends: Counter[str] = Counter()
        for topic in topics:
            partitions = await partition_ends(self._stack.kafka, topic) or {}
            ends[topic] = sum(end for _, end in partitions.values())
        return ends
