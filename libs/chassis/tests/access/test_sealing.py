"""SEC-5: rows are sealed after their commit, told to the topic, pruned from the chain's beginning; refusals fill no disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
import structlog
from makegood_chassis.access.chain import PRUNE, Seal, breaks
from makegood_chassis.access.pruning import prune
from makegood_chassis.access.refusals import Refusals
from makegood_chassis.access.request import Accesses
from makegood_chassis.access.sealer import UNSEALED, seal_once
from makegood_chassis.access.tables import CHAIN, COLUMNS
from makegood_chassis.access.tables import SCHEMA as ACCESS_SCHEMA
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.messaging.tables import SCHEMA
from makegood_contracts.events import ACCESS_RECORDED
from makegood_testkit.blocks import blocks_of

pytestmark = pytest.mark.rule("SEC-5")

RECORDED = ACCESS_RECORDED["credits"]


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA + ACCESS_SCHEMA)
        await connection.execute(
            "INSERT INTO access_rows (caller, role, operation, person_id, reason, request_id) VALUES "
            "('sue', 'support', 'credits.read', 'anna', 'ticket 4711', 'r'), "
            "('anna', 'member', 'contact.write', 'anna', 'contact.write', 'r')"
        )
        await connection.execute(CHAIN)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def database(database_factory: Any) -> AsyncIterator[Database]:
    made = Database(await database_factory("accesses", _tables), Clock(), pool_size=8)
    await made.open()
    yield made
    await made.close()


def access(caller: str = "eve", *, refused: bool = False, request_id: str = "r") -> Accesses:
    made = Accesses("GET", {}, request_id, caller, "support", "session.read", elevated=True)
    made.note(None, ["anna"])
    if refused:
        made.refuse("anna")
    return made


async def write(database: Database, *accesses: Accesses) -> None:
    async with database.reading() as queries:
        for each in accesses:
            await each.keep(queries)


async def state(database: Database) -> tuple[list[Seal], dict[int, dict[str, Any]], list[Any]]:
    """Seals, rows, and the payloads of what was told."""
    async with database.reading() as queries:
        seals = [
            Seal(**row)
            for row in await queries.fetch("SELECT number, row_id, row_hash, hash FROM access_seals ORDER BY number")
        ]
        rows = {row["id"]: dict(row) for row in await queries.fetch(f"SELECT {COLUMNS} FROM access_rows ORDER BY id")}
        told = [
            msgspec.json.decode(row["payload"]) for row in await queries.fetch("SELECT payload FROM outbox ORDER BY id")
        ]
    return seals, rows, told


async def test_rows_from_before_keep_their_words_and_get_their_seal(database: Database) -> None:
    assert await seal_once(database, RECORDED) == 2
    _, rows, told = await state(database)
    assert [(row["outcome"], row["reason"], row["remark_digest"] is None) for row in rows.values()] == [
        ("shown", None, False),
        ("changed", None, True),
    ]
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT remark FROM access_remarks") == "ticket 4711"
    assert "ticket" not in str(told)


async def test_each_row_is_sealed_once_and_told_with_its_hashes(database: Database) -> None:
    await write(database, *(access(request_id=f"r-{number}") for number in range(5)))
    sealed = [await seal_once(database, RECORDED, at_once=3) for _ in range(4)]
    assert sealed == [3, 3, 1, 0]
    seals, rows, told = await state(database)
    assert list(breaks(seals, rows, 0)) == []
    assert [(each["number"], each["row_id"], each["row_hash"], each["hash"]) for each in told] == [
        (link.number, link.row_id, link.row_hash.hex(), link.hash.hex()) for link in seals
    ]
    assert [each["number"] for each in told] == list(range(1, 8))
    assert told[-1]["request_id"] == "r-4"
    assert told[-1]["chain"] == "credits"


async def test_a_row_that_commits_late_comes_later_and_breaks_nothing(database: Database) -> None:
    late = await asyncpg.connect(database.url)
    try:
        transaction = late.transaction()
        await transaction.start()
        await late.execute(
            "INSERT INTO access_rows (caller, role, operation, request_id) VALUES ('late', 'ops', 'o', 'r')"
        )
        await write(database, access())
        assert await seal_once(database, RECORDED) == 3
        await transaction.commit()
    finally:
        await late.close()
    assert await seal_once(database, RECORDED) == 1
    seals, rows, _ = await state(database)
    assert list(breaks(seals, rows, 0)) == []
    assert [rows[link.row_id]["caller"] for link in seals][2:] == ["eve", "late"]
    assert seals[2].row_id > seals[3].row_id


async def test_what_is_put_among_the_unsealed_by_hand_stops_nobody(database: Database) -> None:
    assert await seal_once(database, RECORDED) == 2
    async with database.reading() as queries:
        await queries.execute("INSERT INTO access_unsealed (row_id) VALUES (1), (4711)")
    await write(database, access())
    await seal_once(database, RECORDED, at_once=2)
    seals, rows, _ = await state(database)
    assert [link.row_id for link in seals] == [1, 2, 3]
    assert list(breaks(seals, rows, 0)) == []


async def test_many_sealers_make_one_chain(database: Database) -> None:
    await write(database, *(access() for _ in range(60)))

    async def work() -> None:
        while True:
            async with database.reading() as queries:
                if not await queries.fetch_value("SELECT count(*) FROM access_unsealed"):
                    return
            await seal_once(database, RECORDED, at_once=7)

    await asyncio.gather(*(work() for _ in range(4)))
    seals, rows, told = await state(database)
    assert list(breaks(seals, rows, 0)) == []
    assert [each["number"] for each in told] == list(range(1, 63))


async def test_what_is_sealed_is_not_read_to_find_what_waits(database: Database) -> None:
    async with database.reading() as queries:
        await queries.execute(
            "INSERT INTO access_rows (caller, role, operation, request_id) SELECT 'c', 'support', 'o', 'r' FROM generate_series(1, 50000)"
        )
        await queries.execute(
            "INSERT INTO access_seals (number, row_id, row_hash, hash) SELECT id, id, '', '' FROM access_rows"
        )
        await queries.execute("DELETE FROM access_unsealed WHERE row_id <= 49990")
        await queries.execute("VACUUM ANALYZE access_rows, access_seals, access_unsealed")
        assert await blocks_of(queries, UNSEALED, 500) < 200


async def test_rows_and_seals_are_never_changed(database: Database) -> None:
    await seal_once(database, RECORDED)
    async with database.reading() as queries:
        for statement in ("UPDATE access_rows SET reason = 'better'", "UPDATE access_seals SET hash = ''"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await queries.execute(statement)


async def test_pruning_forgets_the_beginning_says_so_and_leaves_the_chain_whole(database: Database) -> None:
    async with database.reading() as queries:
        for days in (500, 450, 440, 10, 460):
            await queries.execute(
                "INSERT INTO access_rows (at, caller, role, operation, request_id) "
                "VALUES (now() - $1 * interval '1 day', 'c', 'support', 'o', 'r')",
                days,
            )
        await queries.execute("DELETE FROM access_unsealed WHERE row_id <= 2")  # those of today
    assert await seal_once(database, RECORDED) == 5
    assert await prune(database, timedelta(days=365), at_once=2) == 3
    assert await prune(database, timedelta(days=365), at_once=2) == 0, "rows go from the beginning alone"
    await seal_once(database, RECORDED)
    seals, rows, told = await state(database)
    assert [link.number for link in seals] == [3, 4, 5, 6, 7]
    assert told[-2]["operation"] == told[-1]["operation"] == PRUNE
    assert [each["entity"] for each in told[-2:]] == ["seal:2", "seal:3"]
    assert list(breaks(seals, rows, 3)) == []


def refused_look(at: str, caller: str = "eve") -> Accesses:
    made = access(caller, refused=True)
    made.refuse(at)
    return made


async def refused_rows(database: Database) -> list[tuple[str, int, str | None]]:
    async with database.reading() as queries:
        rows = await queries.fetch(
            "SELECT caller, times, person_id FROM access_rows WHERE outcome = 'refused' ORDER BY id"
        )
    return [tuple(row) for row in rows]


async def test_refusals_beyond_a_measure_are_counted_and_not_written(database: Database) -> None:
    now = 0.0
    refusals = Refusals(database, clock=lambda: now)
    for _ in range(1000):
        await refusals.keep(access("eve", refused=True))
    await refusals.keep(access("bert", refused=True))
    assert await refused_rows(database) == [("eve", 1, "anna")] * 30 + [("bert", 1, "anna")]
    await refusals.flush()
    await refusals.flush()
    assert (await refused_rows(database))[31:] == [("eve", 970, "anna")]
    now = 60.0
    for _ in range(5):
        await refusals.keep(access("eve", refused=True))
    await refusals.flush()
    assert (await refused_rows(database))[32:] == [("eve", 1, "anna"), ("eve", 1, "anna"), ("eve", 3, "anna")]


async def test_whoever_was_refused_often_does_not_look_at_others_without_a_trace_of_whom(database: Database) -> None:
    refusals = Refusals(database, clock=lambda: 0.0)
    for _ in range(31):
        await refusals.keep(refused_look("pat"))
    others = [f"member-{number}" for number in range(5)]
    for other in (*others, *others):
        await refusals.keep(refused_look(other))
    assert await refused_rows(database) == [("eve", 1, "pat")] * 30 + [("eve", 1, other) for other in others]
    await refusals.flush()
    assert (await refused_rows(database))[35:] == [("eve", 1, each) for each in ("pat", *others)]


async def test_whoever_names_ever_new_people_does_not_fill_the_log(database: Database) -> None:
    now = 0.0
    refusals = Refusals(database, clock=lambda: now, per_day=50.0)
    for number in range(200):
        await refusals.keep(refused_look(f"x-{number}"))
    assert await refused_rows(database) == [("eve", 1, f"x-{number}") for number in range(30 + 50)]
    for number in range(10):
        await refusals.keep(refused_look(f"x-{number}"))
    await refusals.flush()
    assert (await refused_rows(database))[80:] == [("eve", 130, None)]
    now = 24 * 3600.0
    await refusals.keep(refused_look("x-500"))
    assert (await refused_rows(database))[81:] == [("eve", 1, "x-500")]


async def test_a_refusal_is_answered_though_it_cannot_be_written(database: Database) -> None:
    async with database.reading() as queries:
        await queries.execute("DROP TABLE access_rows")
    with structlog.testing.capture_logs() as logs:
        await Refusals(database).keep(access(refused=True))
    assert [line["event"] for line in logs] == ["a refusal was not logged"]
