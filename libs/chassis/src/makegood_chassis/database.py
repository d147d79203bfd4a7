"""One service's PostgreSQL: a pool of asyncpg connections, and units of work that commit once, at the edge.

SQLAlchemy Core statements and plain SQL with `$1` parameters run on the same connection, in the same transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from makegood_contracts.envelope import EXAMPLE_BASE_URL, Cause, Record, encode
from makegood_contracts.events import Event
from sqlalchemy.sql import ClauseElement

from makegood_chassis.clock import Clock
from makegood_chassis.limited_logins import require_limited
from makegood_chassis.messaging import failpoints, tables
from makegood_chassis.messaging.refusals import RefusalReason
from makegood_chassis.personal_data.sealing import PersonalData
from makegood_chassis.statements import BoundStatement, compile_statement

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row = asyncpg.Record

SEARCH_PATH: Final = "public, pg_temp"
"""With it named last, a temporary table cannot replace another one."""

MAX_RECORD: Final = 900_000
"""Maximum payload of one event in bytes. The broker's own limit is 1 MiB with headers."""

_json_encode = msgspec.json.Encoder().encode
_json_decode = msgspec.json.Decoder().decode


Runnable: TypeAlias = str | BoundStatement | ClauseElement
"""Plain SQL with `$n` parameters, a `Statement` with its parameters, or a SQLAlchemy Core statement that is made for one call."""


class Queries:
    """Runs statements on one connection."""

    def __init__(self, connection: Connection, personal_data: PersonalData | None = None) -> None:
        self.connection = connection
        self._personal_data = personal_data

    @property
    def personal_data(self) -> PersonalData:
        """Seals and opens people's texts."""
        if self._personal_data is None:
            raise RuntimeError("this database was opened without keys for personal data")
        return self._personal_data

    async def fetch(self, statement: Runnable, *args: Any) -> list[Row]:
        sql, values = _prepared(statement, args)
        return await self.connection.fetch(sql, *values)

    async def fetch_one(self, statement: Runnable, *args: Any) -> Row | None:
        sql, values = _prepared(statement, args)
        return await self.connection.fetchrow(sql, *values)

    async def fetch_value(self, statement: Runnable, *args: Any) -> Any:
        sql, values = _prepared(statement, args)
        return await self.connection.fetchval(sql, *values)

    async def execute(self, statement: Runnable, *args: Any) -> str:
        """Runs the statement. Returns PostgreSQL's command tag, such as `UPDATE 3`."""
        sql, values = _prepared(statement, args)
        return await self.connection.execute(sql, *values)


def _prepared(statement: Runnable, args: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    if isinstance(statement, str):
        return statement, args
    return statement if isinstance(statement, BoundStatement) else compile_statement(statement)


class UnitOfWork(Queries):
    """One transaction and all that must happen with it: rows, events, deadlines.

    `now` is the product time of the whole unit. What is published or scheduled is written just before the one commit;
    `after_commit` callbacks run after it and only then.
    """

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        cause: Cause,
        personal_data: PersonalData | None = None,
        base_url: str = EXAMPLE_BASE_URL,
    ) -> None:
        super().__init__(connection, personal_data)
        self.now = now
        self.cause = cause
        self._base_url = base_url
        self._records: list[Record] = []
        self._deadlines: dict[tuple[str, str], datetime | None] = {}
        self._after_commit: list[Callable[[], None]] = []
        self.earliest_deadline: datetime | None = None
        """The first of the deadlines that were written, in product time."""
        self.published = False
        """Whether outbox rows were written."""
        self.refused: dict[str, RefusalReason] = {}
        """The refused events of the batch: id → why."""

    def publish(self, event: Event, *, sequence: int, cause: Cause | None = None) -> None:
        """Publishes `event` with this transaction. `sequence` is the entity's own count, rising by one.

        The entity's row must be locked or version-checked before, so that events of one key keep their order.
        Raises ValueError for a payload that is too large for the broker.
        """
        record = encode(event, sequence=sequence, cause=cause or self.cause, base_url=self._base_url)
        if len(record.value) > MAX_RECORD:
            raise ValueError(f"an event of {len(record.value)} bytes is longer than {MAX_RECORD}")
        self._records.append(record)

    def publish_record(self, record: Record) -> None:
        """Publishes a record that is encoded already (dead letters)."""
        self._records.append(record)

    def refuse(self, event_id: str, reason: RefusalReason) -> None:
        """Refuses an event of the current batch: it becomes a dead letter with this transaction, and the others are
        handled.

        The handler must have changed nothing because of it, and must not later.
        """
        self.refused.setdefault(event_id, reason)

    def set_deadline(self, kind: str, entity_id: str, due_at: datetime | None) -> None:
        """Sets the entity's deadline of this `kind`, in product time. None deletes it."""
        self._deadlines[kind, entity_id] = due_at

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once the transaction is committed. It must not block or raise."""
        self._after_commit.append(callback)

    async def flush(self) -> None:
        """Writes what was collected."""
        await tables.write(self.connection, self._records, self._deadlines)
        if self._deadlines:
            due = [due_at for due_at in self._deadlines.values() if due_at is not None]
            if due and (self.earliest_deadline is None or min(due) < self.earliest_deadline):
                self.earliest_deadline = min(due)
        self.published = self.published or bool(self._records)
        self._records, self._deadlines = [], {}

    def committed(self) -> None:
        callbacks, self._after_commit = self._after_commit, []
        for callback in callbacks:
            callback()


class Database:
    """The pool. `on_publish` is called after each commit that left outbox rows, `on_deadline` after one that set deadlines,
    with the first of their moments."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        pool_size: int = 16,
        application_name: str = "makegood",
        personal_data: PersonalData | None = None,
        limited: str = "",
        base_url: str = EXAMPLE_BASE_URL,
    ) -> None:
        """`limited`: the variable that holds `url`, if its login must be neither a superuser nor an owner. `base_url`: the
        gateway at which readers of the events find their schemas."""
        self.url = url
        self._limited = limited
        self.clock = clock
        self.personal_data = personal_data
        self._base_url = base_url
        self._pool_size = pool_size
        self._application_name = application_name
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.on_publish: list[Callable[[], None]] = []
        self.on_deadline: list[Callable[[datetime], None]] = []

    async def open(self) -> None:
        """Opens the pool. Raises OSError or asyncpg.PostgresError if the server cannot be reached, and UnlimitedLogin
        for a login with too many rights.
        """
        if self._limited:
            await require_limited(self.url, self._limited)
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._pool_size,
            init=_prepare_connection,
            reset=_leave_as_it_is,
            command_timeout=30,
            max_inactive_connection_lifetime=300,
            server_settings={
                "application_name": self._application_name,
                "jit": "off",
                "timezone": "UTC",
                "search_path": SEARCH_PATH,
            },
        )

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    @property
    def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Queries]:
        """A connection outside any transaction, for single statements that only read."""
        async with self.pool.acquire(timeout=10) as connection:
            yield Queries(connection, self.personal_data)

    @asynccontextmanager
    async def transaction(self, cause: Cause) -> AsyncIterator[UnitOfWork]:
        """A unit of work, committed at the end of the block, rolled back if it raises."""
        async with self.pool.acquire(timeout=10) as connection, connection.transaction():
            unit = UnitOfWork(connection, self.clock.now(), cause, self.personal_data, self._base_url)
            yield unit
            await unit.flush()
            failpoints.reached("unit.flushed")
        failpoints.reached("unit.committed")
        if unit.published:
            for wake in self.on_publish:
                wake()
        if unit.earliest_deadline is not None:
            for set_ in self.on_deadline:
                set_(unit.earliest_deadline)
        unit.committed()


async def _prepare_connection(connection: Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=lambda value: _json_encode(value).decode(), decoder=_json_decode
        )


async def _leave_as_it_is(connection: Connection) -> None:
    """Skips the reset of connections, which would be a round trip, because nothing here changes a session outside its
    transaction.
    """


def column(rows: Iterable[Any], name: str) -> list[Any]:
    """The values of one attribute, in order, for `unnest`."""
    return [getattr(row, name) for row in rows]
