"""One service's PostgreSQL: a pool of asyncpg connections, and units of work that commit once, at the edge.

SQLAlchemy Core statements and plain SQL with `$1` parameters run on the same connection, in the same transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction
from makegood_contracts.envelope import EXAMPLE_BASE_URL, Cause, Record, encode
from makegood_contracts.events import Event

from makegood_chassis.clock import Clock
from makegood_chassis.combining import combinable, combine
from makegood_chassis.connections import Connections
from makegood_chassis.database_link import Pooler, connect
from makegood_chassis.limited_logins import require_limited
from makegood_chassis.messaging import failpoints, tables
from makegood_chassis.messaging.refusals import RefusalReason
from makegood_chassis.personal_data.sealing import PersonalData
from makegood_chassis.real_time import utc_now
from makegood_chassis.statements import BoundStatement, Runnable, prepared
from makegood_chassis.tracing import Creations

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row = asyncpg.Record

MAX_RECORD: Final = 900_000
"""Maximum payload of one event in bytes. The broker's own limit is 1 MiB with headers."""


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
        sql, values = prepared(statement, args)
        return await self.connection.fetch(sql, *values)

    async def fetch_one(self, statement: Runnable, *args: Any) -> Row | None:
        sql, values = prepared(statement, args)
        return await self.connection.fetchrow(sql, *values)

    async def fetch_value(self, statement: Runnable, *args: Any) -> Any:
        sql, values = prepared(statement, args)
        return await self.connection.fetchval(sql, *values)

    async def execute(self, statement: Runnable, *args: Any) -> str:
        """Runs the statement. Returns PostgreSQL's command tag, such as `UPDATE 3`."""
        sql, values = prepared(statement, args)
        return await self.connection.execute(sql, *values)


class HandledBefore(Exception):
    """An event of `note_handled` was handled before. Nothing of the unit took effect."""


class PublishedRow(NamedTuple):
    """A row of the outbox. `sequence`: the entity's own count; None for a record that was encoded elsewhere."""

    id: int
    record: Record
    sequence: int | None
    created_at: datetime


class UnitOfWork(Queries):
    """One transaction and all that must happen with it: rows, events, deadlines.

    `now` is the product time of the whole unit. What is published or scheduled is written just before the one commit;
    `after_commit` callbacks run after it and only then.

    A round trip costs more than a row. So the transaction begins with the first statement that cannot wait, and those that
    can (`defer`) go together with what is published. If all can wait, one statement is the whole transaction.
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
        self._transaction: Transaction | None = None
        self._deferred: list[list[BoundStatement]] = []
        """In order; the statements of each list can be combined."""
        self._records: list[tuple[Record, int | None]] = []
        self._deadlines: dict[tuple[str, str], datetime | None] = {}
        self._handled: Sequence[str] = ()
        self._after_commit: list[Callable[[], None]] = []
        self._creations = Creations()
        self.earliest_deadline: datetime | None = None
        """The first of the deadlines that were written, in product time."""
        self.published: list[PublishedRow] = []
        """The outbox rows that were written."""
        self.refused: dict[str, RefusalReason] = {}
        """The refused events of the batch: id → why."""

    async def fetch(self, statement: Runnable, *args: Any) -> list[Row]:
        await self._catch_up()
        return await super().fetch(statement, *args)

    async def fetch_one(self, statement: Runnable, *args: Any) -> Row | None:
        await self._catch_up()
        return await super().fetch_one(statement, *args)

    async def fetch_value(self, statement: Runnable, *args: Any) -> Any:
        await self._catch_up()
        return await super().fetch_value(statement, *args)

    async def execute(self, statement: Runnable, *args: Any) -> str:
        await self._catch_up()
        return await super().execute(statement, *args)

    async def look(self, statement: Runnable, *args: Any) -> list[Row]:
        """As `fetch`, but locks and changes nothing, so that no transaction has to begin for it."""
        if self._transaction is not None or self._deferred:
            await self._catch_up()
        return await super().fetch(statement, *args)

    def defer(self, statement: Runnable, *args: Any) -> None:
        """Runs a statement that only writes, before the unit's next statement or with its last one."""
        sql, values = prepared(statement, args)
        written = BoundStatement(sql, list(values))
        if self._deferred and all(combinable(other.sql, written.sql) for other in self._deferred[-1]):
            self._deferred[-1].append(written)
        else:
            self._deferred.append([written])

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A block that is undone by itself if it raises."""
        await self._catch_up()
        cancelled: asyncio.CancelledError | None = None
        try:
            async with self.connection.transaction():
                try:
                    yield
                    await self._catch_up()
                except BaseException as error:
                    self._deferred.clear()
                    cancelled = error if isinstance(error, asyncio.CancelledError) else None
                    raise
        except Exception:
            if cancelled is not None:  # the block could not be undone either, because the connection is lost
                raise cancelled from None
            raise

    def note_handled(self, event_ids: Sequence[str]) -> None:
        """Enters these events in the inbox with the last statement, which raises HandledBefore if one is there already."""
        self._handled = event_ids

    def publish(self, event: Event, *, sequence: int, cause: Cause | None = None) -> None:
        """Publishes `event` with this transaction. `sequence` is the entity's own count, rising by one.

        The entity's row must be locked or version-checked before, so that events of one key keep their order.
        Raises ValueError for a payload that is too large for the broker.
        """
        cause = self._creations.create(event, cause or self.cause)
        record = encode(event, sequence=sequence, cause=cause, base_url=self._base_url, time=utc_now())
        if len(record.value) > MAX_RECORD:
            raise ValueError(f"an event of {len(record.value)} bytes is longer than {MAX_RECORD}")
        self._records.append((record, sequence))

    def publish_record(self, record: Record) -> None:
        """Publishes a record that is encoded already (dead letters)."""
        self._records.append((record, None))

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
        await self._begin()
        await self._write()

    async def commit(self) -> None:
        """Writes what was collected, and commits."""
        if len(self._deferred) > 1:
            await self._begin()
        await self._write()
        if self._transaction is not None:
            failpoints.reached("unit.flushed")
            transaction, self._transaction = self._transaction, None
            await transaction.commit()

    async def roll_back(self) -> None:
        """Undoes everything, unless it is committed. Does not fail, so that an error or cancellation before it is not replaced."""
        if self._transaction is not None:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):  # the server undoes it
                await self._transaction.rollback()

    def committed(self) -> None:
        self._creations.end()
        callbacks, self._after_commit = self._after_commit, []
        for callback in callbacks:
            callback()

    async def _begin(self) -> None:
        if self._transaction is None:
            transaction = self.connection.transaction()
            await transaction.start()
            self._transaction = transaction

    async def _catch_up(self) -> None:
        """Begins the transaction, and runs what was deferred."""
        await self._begin()
        while self._deferred:
            await self._run(combine(self._deferred.pop(0)))

    async def _write(self) -> None:
        """Runs what was deferred. The last of it goes in one statement with events, deadlines and the inbox."""
        while len(self._deferred) > 1:
            await self._run(combine(self._deferred.pop(0)))
        statements = self._deferred.pop() if self._deferred else []
        statements += tables.set_deadlines(self._deadlines)
        named: dict[str, BoundStatement] = {}
        ids, new, count = "NULL", "NULL", []
        if self._records:
            named["published"] = tables.publish([record for record, _ in self._records])
            ids = "ARRAY(SELECT id FROM published)"
        if self._handled:
            named["handled"] = tables.note_handled(self._handled)
            # A division by zero undoes everything, even if this statement is the whole transaction.
            new, count = "1 / ((SELECT count(*) FROM handled) = $1)::int", [len(self._handled)]
        if not statements and not named:
            return
        try:
            row = await self._run(combine(statements, BoundStatement(f"SELECT {ids}, {new}", count), **named))
        except asyncpg.DivisionByZeroError as error:
            raise HandledBefore from error
        self._note_written(row)

    def _note_written(self, row: Row | None) -> None:
        if self._records and row is not None:
            now = utc_now()
            written = zip(sorted(row[0]), self._records, strict=True)
            self.published += [PublishedRow(row_id, *record, now) for row_id, record in written]
        due = [due_at for due_at in self._deadlines.values() if due_at is not None]
        if due and (self.earliest_deadline is None or min(due) < self.earliest_deadline):
            self.earliest_deadline = min(due)
        self._records, self._deadlines, self._handled = [], {}, ()

    async def _run(self, statement: BoundStatement) -> Row | None:
        return await self.connection.fetchrow(statement.sql, *statement.values)


class Database:
    """The pool. `on_publish` is called after each commit that left outbox rows, with these, `on_deadline` after one that set
    deadlines, with the first of their moments."""

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
        pooler: Pooler | None = None,
    ) -> None:
        """`limited`: the variable that holds `url`, if its login must be neither a superuser nor an owner. `base_url`: the
        gateway at which readers of the events find their schemas. `pooler`: what `url` leads to, if it is not PostgreSQL."""
        self.url = url
        self._pooler = pooler
        self._limited = limited
        self.clock = clock
        self.personal_data = personal_data
        self._base_url = base_url
        self._pool_size = pool_size
        self._application_name = application_name
        self._connections: Connections | None = None
        self.on_publish: list[Callable[[Sequence[PublishedRow]], None]] = []
        self.on_deadline: list[Callable[[datetime], None]] = []

    async def open(self) -> None:
        """Opens the pool. Raises OSError or asyncpg.PostgresError if the server cannot be reached, and UnusableDatabase
        for a login with too many rights or a pooler without its settings.
        """
        if self._limited:
            await require_limited(self.url, self._limited)
        self._connections = await connect(self.url, self._pool_size, self._application_name, self._pooler)

    @property
    def direct_url(self) -> str:
        """Where a connection stays the same from one transaction to the next."""
        return self._pooler.direct_url if self._pooler else self.url

    async def close(self) -> None:
        if self._connections is not None:
            connections, self._connections = self._connections, None
            await connections.close()

    @property
    def connections(self) -> Connections:
        """Where a connection can be borrowed. Raises RuntimeError while the database is not open."""
        if self._connections is None:
            raise RuntimeError("the database is not open")
        return self._connections

    def reading(self) -> Reading:
        """A connection outside any transaction, for single statements that only read."""
        return Reading(self.connections, self.personal_data)

    @asynccontextmanager
    async def transaction(self, cause: Cause) -> AsyncIterator[UnitOfWork]:
        """A unit of work, committed at the end of the block, rolled back if it raises."""
        async with self.connections.loan() as connection:
            unit = UnitOfWork(connection, self.clock.now(), cause, self.personal_data, self._base_url)
            try:
                yield unit
                await unit.commit()
            except BaseException:
                await unit.roll_back()
                raise
        failpoints.reached("unit.committed")
        if unit.published:
            for published in self.on_publish:
                published(unit.published)
        if unit.earliest_deadline is not None:
            for set_ in self.on_deadline:
                set_(unit.earliest_deadline)
        unit.committed()


class Reading:
    """`async with database.reading() as queries`"""

    __slots__ = ("_connections", "_lent", "_personal_data")

    def __init__(self, connections: Connections, personal_data: PersonalData | None) -> None:
        self._connections = connections
        self._personal_data = personal_data

    async def __aenter__(self) -> Queries:
        self._lent = await self._connections.borrow()
        return Queries(self._lent, self._personal_data)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._connections.give_back(self._lent)


def column(rows: Iterable[Any], name: str) -> list[Any]:
    """The values of one attribute, in order, for `unnest`."""
    return [getattr(row, name) for row in rows]
