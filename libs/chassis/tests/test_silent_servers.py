"""Nobody waits long for a database that does not answer, and readiness tells a frozen server from one that is well (REL-9)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio
from makegood_chassis import readiness
from makegood_chassis.clock import Clock
from makegood_chassis.connections import Connections, DatabaseAway
from makegood_chassis.database import Database
from makegood_chassis.health import Health
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_chassis.messaging.failures import is_transient
from makegood_chassis.readiness import ServerWatch, watch_database
from makegood_chassis.server_probes import DatabaseProbe, KafkaProbe
from makegood_testkit.fault_proxy import FaultProxy
from makegood_testkit.plugin import DatabaseFactory
from makegood_testkit.service import CAUSE
from makegood_testkit.waiting import eventually

pytestmark = pytest.mark.rule("REL-9")
MOST = 2
FOR_EVER = 10_000.0
"""Longer than any test waits, in seconds."""
LONG = 20.0
"""Seconds for an answer, longer than any takes that is not held up."""
QUERY = 30.0
"""Seconds that a query may take."""


async def _nothing(_: str) -> None: ...


@pytest_asyncio.fixture
async def url(database_factory: DatabaseFactory) -> str:
    return await database_factory("silent", _nothing)


@pytest.fixture
def proxy(url: str) -> Iterator[FaultProxy]:
    """In front of the database's server."""
    with FaultProxy(urlsplit(url).port or 0) as proxy:
        yield proxy


@pytest.fixture
def behind(url: str, proxy: FaultProxy) -> str:
    """The database's address by way of the proxy."""
    return proxy.before(url)


@pytest_asyncio.fixture
async def database(behind: str) -> AsyncIterator[Database]:
    opened = Database(behind, Clock(), pool_size=MOST)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def connections(database: Database) -> Connections:
    return database.connections


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are looked at more often. They have much time to answer, because this machine may be busy."""
    monkeypatch.setattr(readiness, "WATCH", 0.05)
    monkeypatch.setattr(readiness, "WATCH_CLOSELY", 0.05)
    monkeypatch.setattr(readiness, "ANSWER", LONG)


@pytest.fixture
def soon(often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers have less time to answer: for those that answer when the test wants."""
    monkeypatch.setattr(readiness, "ANSWER", 0.4)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gets an error does not get it because a connection took long."""
    monkeypatch.setattr("makegood_chassis.connections.PATIENCE", FOR_EVER)
    monkeypatch.setattr("makegood_chassis.connections.OPENING", FOR_EVER)


async def _ask(database: Database) -> int:
    async with database.reading() as queries:
        return int(await queries.fetch_value("SELECT 1"))


async def _fails(work: Awaitable[object]) -> None:
    """With an error that passes by itself, and not because its own time is over: that would take longer."""
    with pytest.raises((OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)) as failure:
        async with asyncio.timeout(QUERY - 5) as bound:
            await work
    assert not bound.expired()
    assert is_transient(failure.value)


async def test_whoever_waits_gets_an_error_when_the_server_falls_silent_and_whoever_comes_one_at_once(
    database: Database, connections: Connections, proxy: FaultProxy
) -> None:
    async with connections.loan(), connections.loan():
        pass  # both are open
    proxy.begin("silent")
    querying = [asyncio.create_task(_ask(database)) for _ in range(MOST)]
    await eventually(lambda: connections.in_use == MOST)
    waiting = asyncio.create_task(_ask(database))
    await asyncio.sleep(0)
    connections.suspend()
    for task in (*querying, waiting):
        await _fails(task)
    with pytest.raises(DatabaseAway):
        await _ask(database)
    proxy.heal()
    connections.resume()
    assert [await _ask(database) for _ in range(MOST + 1)] == [1] * (MOST + 1)
    assert connections.in_use == 0


async def test_a_transaction_of_a_silent_server_ends_with_an_error(
    database: Database, connections: Connections, proxy: FaultProxy
) -> None:
    async def change() -> None:
        async with database.transaction(CAUSE) as unit:
            await unit.execute("SELECT 1")
            proxy.begin("silent")
            begun.set()
            await unit.execute("SELECT 2")

    begun = asyncio.Event()
    changing = asyncio.create_task(change())
    await begun.wait()
    connections.suspend()
    await _fails(changing)
    proxy.heal()
    connections.resume()
    assert await _ask(database) == 1


async def test_who_opens_a_connection_to_a_silent_server_gets_an_error_too(behind: str, proxy: FaultProxy) -> None:
    database = Database(behind, Clock(), pool_size=MOST)
    await database.open()
    proxy.begin("silent")
    async with database.connections.loan():
        opening = asyncio.create_task(_ask(database))
        await asyncio.sleep(0)
        database.connections.suspend()
        await _fails(opening)
    proxy.heal()
    database.connections.resume()
    assert await _ask(database) == 1
    await database.close()


async def test_whose_time_ends_in_the_moment_of_the_silence_gets_an_error_too(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makegood_chassis.connections.PATIENCE", 0.05)
    failures: list[Exception] = []

    def suspend() -> None:
        try:
            connections.suspend()
        except Exception as error:
            failures.append(error)

    async with connections.loan(), connections.loan():
        waiting = asyncio.create_task(connections.borrow())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.06, suspend)
        time.sleep(0.1)  # noqa: ASYNC251 (both timers are due when the loop goes on)
        with pytest.raises(TimeoutError):
            await waiting
    assert not failures
    connections.resume()


async def test_a_new_watch_lends_what_a_failed_one_has_suspended(
    database: Database, connections: Connections, behind: str
) -> None:
    connections.suspend()
    watching = asyncio.create_task(watch_database(Health(), DatabaseProbe(behind, "test-watch"), [connections]))
    await asyncio.sleep(0)
    assert await _ask(database) == 1
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest_asyncio.fixture
async def watched(behind: str, connections: Connections, often: None) -> AsyncIterator[Health]:
    """The conditions of a process that watches the database."""
    health = Health()
    health.started = True
    probe = DatabaseProbe(behind, "test-watch")
    watching = asyncio.create_task(watch_database(health, probe, [connections]))
    await eventually(lambda: not health.problems())
    yield health
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_silent_database_is_not_ready_and_lends_nothing_until_it_answers(
    database: Database, proxy: FaultProxy, watched: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = watched
    proxy.begin("silent")
    waiting = asyncio.create_task(_ask(database))
    monkeypatch.setattr(readiness, "ANSWER", 0.4)
    await eventually(lambda: not health.ready)
    monkeypatch.setattr(readiness, "ANSWER", LONG)
    await _fails(waiting)
    with pytest.raises(DatabaseAway):
        await _ask(database)
    proxy.heal()
    await eventually(lambda: health.ready)
    assert await eventually(lambda: _ask(database)) == 1


@pytest.mark.parametrize("fault", ["reset", "gone"])
async def test_a_database_that_refuses_is_not_ready_until_it_accepts(
    fault: str, database: Database, proxy: FaultProxy, watched: Health
) -> None:
    proxy.begin("reset" if fault == "reset" else "gone")
    await eventually(lambda: not watched.ready)
    await _fails(_ask(database))
    proxy.heal()
    await eventually(lambda: watched.ready)
    assert await _ask(database) == 1


async def test_a_pool_that_is_used_up_is_ready_because_the_server_answers(
    database: Database, connections: Connections, watched: Health
) -> None:
    async with connections.loan(), connections.loan():
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert watched.ready


class _Server:
    """Answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = 0
        self.changes: list[bool] = []
        self.health = Health()
        self.health.started = True

    async def ask(self) -> None:
        self.asked += 1
        await self.may_answer.wait()

    def watch(self, seen: Callable[[], float] = lambda: float("-inf")) -> asyncio.Task[None]:
        return asyncio.create_task(
            ServerWatch(self.health, "server", self.ask, seen=seen, changed=self.changes.append).run()
        )


@pytest.fixture
def server() -> _Server:
    return _Server()


async def test_a_server_that_answered_somebody_else_meanwhile_is_not_away(server: _Server, soon: None) -> None:
    looked: list[float] = []

    def seen() -> float:
        looked.append(time.monotonic())
        return looked[-1]

    watching = server.watch(seen)
    await eventually(lambda: len(looked) > 2, what="the time for an answer to pass more than twice")
    assert server.health.ready
    assert not server.changes
    watching.cancel()


async def test_a_process_that_was_held_up_does_not_blame_the_server(server: _Server, soon: None) -> None:
    watching = server.watch()
    await eventually(lambda: server.asked == 1)
    asyncio.get_running_loop().call_soon(server.may_answer.set)
    time.sleep(1.2)  # noqa: ASYNC251 (so is the process held up)
    await eventually(lambda: server.asked == 2)
    assert server.health.ready
    assert not server.changes
    watching.cancel()


async def test_a_late_answer_is_an_answer(server: _Server, soon: None) -> None:
    watching = server.watch()
    await eventually(lambda: not server.health.ready)
    assert server.asked == 1
    assert server.changes == [False]
    server.may_answer.set()
    await eventually(lambda: server.health.ready)
    assert server.changes == [False, True]
    watching.cancel()


async def test_a_broker_that_accepts_connections_and_answers_nothing_does_not_count(kafka_servers: str) -> None:
    with FaultProxy(int(kafka_servers.rpartition(":")[2])) as proxy:
        probe = KafkaProbe(KafkaConnection(proxy.address), "test")
        await probe.ask()
        await probe.ask()
        proxy.begin("silent")
        asking = asyncio.create_task(probe.ask())
        done, _ = await asyncio.wait({asking}, timeout=1)
        assert not done
        proxy.heal()
        await asking
        proxy.begin("gone")
        with pytest.raises(Exception) as failure:
            await probe.ask()
        assert is_transient(failure.value)
        proxy.heal()
        await probe.ask()
        probe.close()


async def test_one_broker_that_answers_is_enough(kafka_servers: str) -> None:
    with FaultProxy(int(kafka_servers.rpartition(":")[2])) as proxy:
        proxy.begin("silent")
        probe = KafkaProbe(KafkaConnection(f"{proxy.address},{kafka_servers}"), "test")
        for _ in range(3):
            async with asyncio.timeout(5):
                await probe.ask()
        proxy.heal()
        probe.close()
