"""Deadlines: each once, in time, by any number of workers; a poisonous one holds up nobody."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest
from makegood_chassis.database import Database, Queries, UnitOfWork
from makegood_chassis.messaging import deadlines
from makegood_chassis.messaging.deadlines import Deadlines
from makegood_chassis.messaging.handlers import DeadlineHandler, Due
from makegood_contracts.ids import new_id
from makegood_testkit.waiting import eventually

from .messaging_example import session_event
from .messaging_helpers import cause, opened


@asynccontextmanager
async def running(database: Database, handler: DeadlineHandler, workers: int = 1) -> AsyncIterator[None]:
    parts = [Deadlines(database, {"end": handler}, batch=100) for _ in range(workers)]
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for part in parts:
            part.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def set_all(database: Database, ids: Sequence[str], due_at: datetime | None) -> None:
    async with database.transaction(cause()) as unit:
        for entity in ids:
            unit.set_deadline("end", entity, due_at)


async def left(database: Database) -> list[Any]:
    async with database.reading() as queries:
        return await queries.fetch("SELECT entity_id, due_at, attempts FROM deadlines")


async def note(due: Sequence[Due], unit: UnitOfWork) -> None:
    await unit.execute(
        "INSERT INTO effects (event_id, key, sequence) SELECT '', unnest($1::text[]), 0", [one.entity_id for one in due]
    )


async def noted(database: Database) -> list[str]:
    async with database.reading() as queries:
        return [row[0] for row in await queries.fetch("SELECT key FROM effects ORDER BY position")]


async def test_many_workers_handle_each_deadline_once(database: Database, database_url: str) -> None:
    ids = [new_id() for _ in range(2000)]
    await set_all(database, ids, datetime.now(UTC))
    async with opened(database_url) as other, running(database, note, 3), running(other, note, 3):
        await eventually(lambda: _empty(database))
    assert sorted(await noted(database)) == sorted(ids)


async def _empty(database: Database) -> bool:
    return not await left(database)


async def test_what_a_deadline_leads_to_begins_a_trace(database: Database) -> None:
    async def tell(due: Sequence[Due], unit: UnitOfWork) -> None:
        for one in due:
            unit.publish(session_event(one.entity_id), sequence=1)

    await set_all(database, [new_id()], datetime.now(UTC))
    async with running(database, tell):
        await eventually(lambda: _empty(database))
    async with database.reading() as queries:
        headers = dict(json.loads(await queries.fetch_value("SELECT headers FROM outbox")))
    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01", headers["traceparent"])


FOR_EVER = 10_000.0
"""Longer than any test waits, in seconds."""


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found by looking now and then."""
    monkeypatch.setattr(deadlines, "_POLL", FOR_EVER)


async def test_a_deadline_comes_when_it_is_due_and_not_before(database: Database, planned: None) -> None:
    late: dict[str, timedelta] = {}

    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        late.update((one.entity_id, unit.now - one.due_at) for one in due)

    async with running(database, handler):
        await set_all(database, ["after an hour"], datetime.now(UTC) + timedelta(hours=1))
        for name in ("soon", "then"):
            await set_all(database, [name], datetime.now(UTC) + timedelta(seconds=0.2))
            await eventually(partial(late.__contains__, name))
    assert late.keys() == {"soon", "then"}
    assert all(each >= timedelta() for each in late.values())


async def test_a_deadline_that_is_set_while_the_table_is_read_comes_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[timedelta] = []
    looks = 0

    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        late.extend(unit.now - one.due_at for one in due)

    fetch_value = Queries.fetch_value

    async def slow(self: Queries, *query: Any) -> Any:
        """Before the second look is answered, a deadline is set that it has not seen."""
        nonlocal looks
        found = await fetch_value(self, *query)
        looks += 1
        if looks == 2:
            monkeypatch.setattr(deadlines, "_POLL", FOR_EVER)
            await set_all(database, ["a"], datetime.now(UTC) + timedelta(seconds=0.1))
        return found

    monkeypatch.setattr(Queries, "fetch_value", slow)
    async with running(database, handler):
        await eventually(lambda: bool(late))
    assert late[0] >= timedelta()


async def test_a_moved_clock_brings_deadlines_at_once(database: Database) -> None:
    await set_all(database, ["a"], datetime.now(UTC) + timedelta(days=3))
    async with running(database, note):
        await eventually(lambda: left(database))
        database.clock.set_offset(timedelta(days=4))
        await eventually(lambda: noted(database))


async def test_a_deadline_taken_away_or_put_later_does_not_come(database: Database) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    await set_all(database, ["gone", "later", "stays"], soon)
    await set_all(database, ["gone"], None)
    await set_all(database, ["later"], soon + timedelta(days=1))
    async with running(database, note):
        await eventually(lambda: noted(database))
    assert await noted(database) == ["stays"]
    assert [row[0] for row in await left(database)] == ["later"]


async def test_the_handler_may_set_the_deadline_anew(database: Database) -> None:
    async def again(due: Sequence[Due], unit: UnitOfWork) -> None:
        await note(due, unit)
        if len(await unit.fetch("SELECT 1 FROM effects")) < 3:
            for one in due:
                unit.set_deadline("end", one.entity_id, unit.now)

    await set_all(database, ["a"], datetime.now(UTC))
    async with running(database, again):
        await eventually(lambda: _empty(database))
    assert await noted(database) == ["a", "a", "a"]


async def test_a_poisonous_deadline_alone_is_put_off_more_and_more(database: Database) -> None:
    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        await note(due, unit)
        if any(one.entity_id == "poison" for one in due):
            raise ValueError("poison")

    ids = [new_id() for _ in range(150)]
    await set_all(database, ["poison", *ids], datetime.now(UTC))

    async def tried_twice() -> bool:
        rows = await left(database)
        return len(rows) == 1 and rows[0]["attempts"] >= 2

    async with running(database, handler):
        await eventually(tried_twice)
    assert sorted(await noted(database)) == sorted(ids)
    (row,) = await left(database)
    assert row["due_at"] > datetime.now(UTC)


async def test_a_change_that_meets_its_deadline_is_never_the_one_to_fail(database: Database) -> None:
    """The change holds the entity and wants its deadline; the worker holds the deadline and wants the entity."""
    async with database.reading() as queries:
        await queries.execute("CREATE TABLE entities (id text PRIMARY KEY)")
        await queries.execute("INSERT INTO entities VALUES ('a')")
    taken = asyncio.Event()
    met: list[type[Exception]] = []

    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        taken.set()
        try:
            await unit.fetch("SELECT 1 FROM entities WHERE id = 'a' FOR UPDATE")
        except asyncpg.PostgresError as error:
            met.append(type(error))
            raise
        await note(due, unit)

    await set_all(database, ["a"], datetime.now(UTC))
    async with database.transaction(cause()) as unit:
        await unit.fetch("SELECT 1 FROM entities WHERE id = 'a' FOR UPDATE")
        async with running(database, handler):
            await eventually(taken.is_set)
            unit.set_deadline("end", "a", datetime.now(UTC) + timedelta(days=1))
            await asyncio.wait_for(unit.flush(), 20)
            assert set(met) == {asyncpg.LockNotAvailableError}, "without its patience, PostgreSQL ends one of the two"
    assert await noted(database) == []
    assert len(await left(database)) == 1


async def test_what_a_deadline_publishes_wakes_the_relay(database: Database) -> None:
    woken: list[None] = []
    database.on_publish.append(lambda _: woken.append(None))

    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        for one in due:
            unit.publish(session_event(one.entity_id), sequence=1)

    async with running(database, handler):
        await set_all(database, [new_id()], datetime.now(UTC))
        await eventually(lambda: woken)


async def test_servers_away_are_waited_for(database: Database) -> None:
    calls = 0

    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise ConnectionResetError
        await note(due, unit)

    await set_all(database, ["a"], datetime.now(UTC))
    async with running(database, handler):
        await eventually(lambda: noted(database))
    assert calls == 4


@pytest.mark.parametrize("count", [1000])
async def test_a_batch_costs_one_call(database: Database, count: int) -> None:
    sizes: list[int] = []

    async def handler(due: Sequence[Due], unit: UnitOfWork) -> None:
        sizes.append(len(due))

    await set_all(database, [new_id() for _ in range(count)], datetime.now(UTC))
    async with running(database, handler):
        await eventually(lambda: _empty(database))
    assert sizes == [100] * (count // 100)


async def test_deadlines_that_follow_each_other_closely_are_handled_together(database: Database) -> None:
    """The first at once; those of the next moments with one transaction, or few where the machine is slow."""
    batches: list[int] = []

    async def count(due: Sequence[Due], unit: UnitOfWork) -> None:
        batches.append(len(due))

    first = datetime.now(UTC) + timedelta(seconds=1)
    for number in range(20):
        await set_all(database, [str(number)], first + number * timedelta(milliseconds=5))
    async with running(database, count):
        await eventually(lambda: _empty(database))
    assert sum(batches) == 20
    assert len(batches) <= 6


async def test_a_handler_of_deadlines_never_waits_long_for_a_lock(database: Database) -> None:
    """So that a worker gives way to those who lock an entity first and its deadline last."""
    patience: list[str] = []

    async def look(due: Sequence[Due], unit: UnitOfWork) -> None:
        patience.append(await unit.fetch_value("SHOW lock_timeout"))

    await set_all(database, ["one"], datetime.now(UTC))
    async with running(database, look):
        await eventually(lambda: _empty(database))
    assert patience == ["250ms"]
    async with database.reading() as queries:
        assert await queries.fetch_value("SHOW lock_timeout") == "0"
