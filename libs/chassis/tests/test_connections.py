"""Connections are lent to one user at a time, in turn, and in a state in which the next one can use them."""

from __future__ import annotations

import asyncio
import sys
from abc import ABCMeta
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from types import FrameType

import asyncpg
import pytest
import pytest_asyncio
from makegood_chassis.clock import Clock
from makegood_chassis.connections import Connections
from makegood_chassis.database import Database
from makegood_testkit.plugin import DatabaseFactory
from makegood_testkit.service import CAUSE

MOST = 2
_PID = "SELECT pg_backend_pid()"


async def _table(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE things (name text)")
    await connection.close()


@pytest_asyncio.fixture
async def database(database_factory: DatabaseFactory) -> AsyncIterator[Database]:
    opened = Database(await database_factory("connections", _table), Clock(), pool_size=MOST)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def connections(database: Database) -> Connections:
    return database.connections


async def _pid(database: Database) -> int:
    async with database.reading() as queries:
        return int(await queries.fetch_value(_PID))


async def test_the_next_user_gets_the_same_connection(database: Database) -> None:
    assert await _pid(database) == await _pid(database)
    assert database.connections.in_use == 0


async def test_who_waits_longest_is_next(connections: Connections) -> None:
    lent = [await connections.borrow() for _ in range(MOST)]
    order: list[int] = []

    async def wait(number: int) -> None:
        async with connections.loan():
            order.append(number)

    waiting = [asyncio.create_task(wait(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert connections.in_use == MOST
    for connection in lent:
        connections.give_back(connection)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3]


async def test_a_user_that_stops_waiting_passes_its_turn_on(connections: Connections) -> None:
    lent = [await connections.borrow() for _ in range(MOST)]
    first, second = (asyncio.create_task(connections.borrow()) for _ in range(2))
    await asyncio.sleep(0)
    connections.give_back(lent[0])  # it is the first one's turn, who does not know it yet
    first.cancel()
    assert await second is lent[0]
    for connection in lent:
        connections.give_back(connection)


async def test_nobody_waits_for_ever(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connections.loan(), connections.loan():
        monkeypatch.setattr("makegood_chassis.connections.PATIENCE", 0.05)
        with pytest.raises(TimeoutError):
            await connections.borrow()


async def test_a_transaction_that_was_left_open_is_rolled_back(database: Database) -> None:
    async with database.reading() as queries:
        await queries.execute("BEGIN")
        await queries.execute("INSERT INTO things VALUES ('left')")
    for _ in range(MOST + 1):  # whichever connection it is
        async with database.transaction(CAUSE) as unit:
            assert await unit.fetch_value("SELECT count(*) FROM things") == 0


async def test_a_cancelled_query_does_not_disturb_the_next_user(database: Database) -> None:
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with database.reading() as queries, asyncio.timeout(0.05):
                await queries.execute("SELECT pg_sleep(30)")
    for _ in range(MOST + 1):
        assert await _pid(database)


async def test_a_query_that_was_cancelled_inside_the_loan_does_not_either(database: Database) -> None:
    async with database.reading() as queries:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await queries.execute("SELECT pg_sleep(30)")
    assert await _pid(database)


async def test_a_connection_that_the_server_closed_is_replaced(database: Database) -> None:
    async with database.connections.loan() as lent:
        lost = await lent.fetchval(_PID)
        with pytest.raises(asyncpg.PostgresConnectionError):
            await lent.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await _pid(database) != lost


async def test_a_unit_that_lost_its_connection_ends_with_its_own_error(database: Database) -> None:
    waits = asyncio.Event()

    async def fail(error: Exception | None) -> None:
        async with database.transaction(CAUSE) as unit:
            await unit.execute("INSERT INTO things VALUES ('lost')")
            unit.connection.terminate()
            if error is not None:
                raise error
            waits.set()
            await asyncio.Event().wait()

    with pytest.raises(LookupError):
        await fail(LookupError())
    cancelled = asyncio.create_task(fail(None))
    await waits.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await _pid(database)


async def test_a_unit_that_loses_its_connection_while_it_is_cancelled_stays_cancelled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("asyncpg.connect_utils._cancel", lost)  # the server has gone, so the query cannot be cancelled
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), database.transaction(CAUSE) as unit:
            await unit.execute("SELECT pg_sleep(5)")
    assert await _pid(database)


async def test_a_cancellation_in_a_savepoint_stays_one_although_the_connection_is_lost(database: Database) -> None:
    async def lose(error: Exception | None) -> None:
        seconds = 0.05 if error is None else 30  # a new connection takes its time on a busy machine
        async with asyncio.timeout(seconds), database.transaction(CAUSE) as unit, unit.savepoint():
            unit.connection.terminate()
            if error is not None:
                raise error
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await lose(None)
    with pytest.raises(asyncpg.InterfaceError):  # so that nobody goes on as if only the block had failed
        await lose(LookupError())


async def test_instants_are_texts_of_one_form_whatever_the_operator_has_set(database_factory: DatabaseFactory) -> None:
    url = await database_factory("datestyle", _table)
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET datestyle TO German')
    await connection.close()
    database = Database(url, Clock(), pool_size=1)
    await database.open()
    async with database.reading() as queries:
        text = await queries.fetch_value("SELECT '2026-11-24 10:00+00'::timestamptz::text")
    await database.close()
    assert text == "2026-11-24 10:00:00+00"


async def test_closing_waits_for_what_is_lent(database_factory: DatabaseFactory) -> None:
    database = Database(await database_factory("closing", _table), Clock(), pool_size=MOST)
    await database.open()
    async with database.reading() as queries:
        closing = asyncio.create_task(database.close())
        assert await queries.fetch_value("SELECT 1") == 1
        assert not closing.done()
    await closing


async def test_values_of_arrays_are_written_without_asking_abstract_classes(connections: Connections) -> None:
    texts = [f"text {number}" for number in range(100)]
    asked = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal asked
        asked += event == "call" and frame.f_code is ABCMeta.__instancecheck__.__code__

    async with connections.loan() as connection:
        await connection.fetchval("SELECT $1::text[]", texts)
        sys.setprofile(count)
        try:
            found = await connection.fetchval("SELECT $1::text[]", texts)
        finally:
            sys.setprofile(None)
    assert found == texts
    assert asked < 10


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text[]", ["a", None, ""]),
        ("text[]", [["a", "b"], ["c", None]]),
        ("int[]", [1, None, -3]),
        ("timestamptz[]", [datetime(2026, 11, 24, tzinfo=UTC), None]),
        ("bytea[]", [b"a\x00", None]),
        ("jsonb[]", [{"a": [1, "b"]}, None, "c"]),
        ("text[]", []),
    ],
)
async def test_arrays_are_read_as_they_were_written(connections: Connections, kind: str, values: list[object]) -> None:
    async with connections.loan() as connection:
        assert await connection.fetchval(f"SELECT $1::{kind}", values) == values


@pytest.mark.parametrize("values", [("a", "b"), {"a": 1, "b": 2}.keys(), {1: "a", 2: "b"}.values()])
async def test_other_collections_are_arrays_too(connections: Connections, values: Collection[str]) -> None:
    async with connections.loan() as connection:
        assert await connection.fetchval("SELECT $1::text[]", values) == ["a", "b"]
        assert sorted(await connection.fetchval("SELECT $1::text[]", frozenset(values))) == ["a", "b"]


async def test_a_text_is_no_array(connections: Connections) -> None:
    async with connections.loan() as connection:
        with pytest.raises(asyncpg.DataError):
            await connection.fetchval("SELECT $1::text[]", "ab")
