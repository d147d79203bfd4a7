"""A unit of work: writes that can wait share a round trip, and nothing of that changes what they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
import pytest
from makegood_chassis.combining import combinable
from makegood_chassis.database import Database, HandledBefore
from makegood_contracts.ids import new_id

from .messaging_example import MOMENT, session_event
from .messaging_helpers import cause, opened

_ADD: Final = "INSERT INTO effects (event_id, key, sequence) VALUES ($1, $2, $3)"
_LEASE: Final = """
WITH gone AS (DELETE FROM leases WHERE name = ANY($1::text[]))
INSERT INTO leases (name, holder, fence, expires_at) VALUES ($2, 'h)', 1, clock_timestamp())
"""


@asynccontextmanager
async def counted(database_url: str) -> AsyncIterator[tuple[Database, list[str]]]:
    """A database with one connection, and the first word of each statement that it was sent."""
    words: list[str] = []

    def note(query: Any) -> None:
        words.append(query.query.split()[0].strip(";"))

    async with opened(database_url, pool=1) as database:
        async with database.connections.loan() as connection:
            connection.add_query_logger(note)
        yield database, words


async def count(database: Database, table: str) -> int:
    async with database.reading() as queries:
        return int(await queries.fetch_value(f"SELECT count(*) FROM {table}"))


async def everything_that_can_wait(database: Database) -> None:
    async with database.transaction(cause()) as unit:
        unit.defer(_ADD, "e", "k", 1)
        unit.defer(_LEASE, ["old"], "new")
        unit.note_handled([new_id(), new_id()])
        unit.publish(session_event("s"), sequence=1)
        unit.set_deadline("example", new_id(), MOMENT)
        unit.set_deadline("example", "dropped", None)


async def test_what_can_wait_is_one_statement_and_no_transaction_of_its_own(database_url: str) -> None:
    async with counted(database_url) as (database, words):
        await everything_that_can_wait(database)
        assert [await count(database, table) for table in ("effects", "leases", "inbox", "outbox", "deadlines")] == [
            1, 1, 2, 1, 1,
        ]  # fmt: skip
        async with database.reading() as queries:
            await queries.execute("DELETE FROM leases")
        await asyncio.sleep(0)  # what was sent before is noted by then
        words.clear()
        await everything_that_can_wait(database)
        await asyncio.sleep(0)
        assert words == ["WITH"]


async def test_a_statement_that_cannot_wait_begins_the_transaction_and_sees_what_was_deferred(
    database_url: str,
) -> None:
    async with counted(database_url) as (database, words):
        await everything_that_can_wait(database)
        await count(database, "effects")
        await asyncio.sleep(0)  # what was sent before is noted by then
        words.clear()
        async with database.transaction(cause()) as unit:
            unit.defer(_ADD, "e", "k", 1)
            assert await unit.fetch_value("SELECT count(*) FROM effects") == 2
        await asyncio.sleep(0)
        assert words == ["BEGIN", "INSERT", "SELECT", "COMMIT"]


async def test_statements_about_one_table_keep_their_order(database: Database) -> None:
    async with database.transaction(cause()) as unit:
        unit.defer(_ADD, "e", "k", 1)
        unit.defer("UPDATE effects SET sequence = sequence + 1")
        unit.defer("UPDATE effects SET sequence = sequence * 10")
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT sequence FROM effects") == 20


async def test_an_event_that_was_handled_before_undoes_the_unit(database: Database) -> None:
    handled, new = new_id(), new_id()
    async with database.transaction(cause()) as unit:
        unit.note_handled([handled])

    async def again(*, begun: bool) -> None:
        async with database.transaction(cause()) as unit:
            if begun:
                await unit.execute(_ADD, "e", "k", 1)
            unit.defer(_ADD, "e", "k", 2)
            unit.publish(session_event("s"), sequence=1)
            unit.note_handled([new, handled])

    for begun in (True, False):
        with pytest.raises(HandledBefore):
            await again(begun=begun)
    assert [await count(database, table) for table in ("effects", "inbox", "outbox")] == [0, 1, 0]


async def test_a_deferred_statement_that_fails_undoes_the_unit(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction(cause()) as unit:
            unit.publish(session_event("s"), sequence=1)
            unit.defer(_ADD, None, "k", 1)

    with pytest.raises(asyncpg.NotNullViolationError):
        await fail()
    assert await count(database, "outbox") == 0


async def test_a_savepoint_undoes_its_block_and_keeps_what_was_deferred_before(database: Database) -> None:
    async with database.transaction(cause()) as unit:
        unit.defer(_ADD, "kept", "k", 1)
        with suppress(ZeroDivisionError):
            async with unit.savepoint():
                await unit.execute(_ADD, "undone", "k", 1)
                raise ZeroDivisionError
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT array_agg(event_id) FROM effects") == ["kept"]


async def test_a_savepoint_undoes_what_was_deferred_in_its_block(database: Database) -> None:
    async with database.transaction(cause()) as unit:
        with suppress(ZeroDivisionError):
            async with unit.savepoint():
                unit.defer(_ADD, "undone", "k", 1)
                raise ZeroDivisionError
        unit.defer(_ADD, "kept", "k", 1)
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT array_agg(event_id) FROM effects") == ["kept"]


async def test_published_rows_are_told_with_their_ids_in_order(database: Database) -> None:
    told: list[Any] = []
    database.on_publish.append(told.extend)
    async with database.transaction(cause()) as unit:
        unit.publish(session_event("a"), sequence=1)
        await unit.flush()
        unit.publish(session_event("b"), sequence=7)
    async with database.reading() as queries:
        rows = await queries.fetch("SELECT id, key FROM outbox ORDER BY id")
    assert [(row.id, row.record.key) for row in told] == [tuple(row) for row in rows]
    assert [row.sequence for row in told] == [1, 7]


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        ("INSERT INTO a SELECT 1", "UPDATE b SET x = 1", True),
        ("INSERT INTO a SELECT 1", "UPDATE b SET x = (SELECT max(y) FROM a)", False),
        ("UPDATE a SET x = 1", "UPDATE a SET y = 1", False),
        ("WITH l AS (SELECT FROM a FOR UPDATE OF a) UPDATE c SET x = 1", "INSERT INTO b SELECT FROM a", True),
        ("WITH l AS (SELECT 1) DELETE FROM a", "WITH l AS (SELECT 2) DELETE FROM b", False),
        ("WITH l AS (SELECT 1) DELETE FROM a", "INSERT INTO b SELECT FROM l", False),
        ("INSERT INTO a SELECT 1 ON CONFLICT (x) DO UPDATE SET x = 1", "INSERT INTO b SELECT 1", True),
    ],
)
def test_only_statements_about_different_tables_are_combined(first: str, second: str, *, may: bool) -> None:
    assert combinable(first, second) is may
    assert combinable(second, first) is may
