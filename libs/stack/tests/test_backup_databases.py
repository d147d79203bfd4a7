"""The cut stops nobody for longer than it must, and a restore empties nothing that it cannot fill again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import asyncpg
import pytest
from aiokafka.admin import NewTopic
from makegood_chassis.messaging.tables import SCHEMA
from makegood_contracts.topics import EVENT_TOPICS
from makegood_devtools.errors import UserError
from makegood_stack.backup import cut, databases
from makegood_stack.backup.manifest import DatabaseNote, File, Manifest
from makegood_stack.backup.restoring import Asked, restore
from makegood_stack.config import Choices, Stack
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.home import Home
from makegood_stack.kafka import make_topics
from makegood_stack.ports import SERVICES
from makegood_testkit.plugin import DatabaseFactory

_LOCKED = "SELECT count(*) FROM pg_locks WHERE relation = 'inbox'::regclass AND mode = 'ShareLock'"


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
    await connection.close()


class _NoTopics:
    """Instead of Kafka."""

    def __init__(self, *_: object) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ends(self) -> dict[str, Any]:
        return {}

    groups = ends


async def test_while_one_database_is_busy_the_others_go_on_between_two_tries(
    database_factory: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, busy = await database_factory("cut", _tables), await database_factory("cut", _tables)
    user, other = await asyncpg.connect(busy), await asyncpg.connect(free)
    at_work = user.transaction()
    await at_work.start()
    await user.execute("LOCK TABLE inbox IN ROW EXCLUSIVE MODE")
    locked: list[int] = []

    async def pause() -> None:
        locked.append(await other.fetchval(_LOCKED))
        await at_work.rollback()

    monkeypatch.setattr(cut, "Positions", _NoTopics)
    monkeypatch.setattr(cut, "_LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(cut, "_let_others_go_on", pause)
    urls = {"booking": free, "availability": free, "credits": busy, "notifications": free}
    async with cut.take(urls, "", "") as taken:
        assert set(taken.snapshots) == set(urls)
    assert locked == [0]
    await asyncio.gather(user.close(), other.close())


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_a_broker_that_goes_away_in_the_middle_is_told_with_advice(
    database_factory: DatabaseFactory,
    own_servers: EmbeddedServers,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    kafka = own_servers.kafka()
    urls = dict.fromkeys(SERVICES, await database_factory("cut", _tables))
    note = cut._note

    async def gone(connection: Any) -> Any:
        getattr(kafka, fault)()
        return await note(connection)

    monkeypatch.setattr(cut, "_note", gone)
    await make_topics(kafka.url, [NewTopic(topic.name, 1, 1) for topic in EVENT_TOPICS])
    with pytest.raises(UserError, match=r"Kafka does not answer|a server took longer than 3 s"):
        async with cut.take(urls, kafka.url, ""):
            """Not reached."""
    kafka.resume()
    connection = await asyncpg.connect(urls["booking"])
    assert await connection.fetchval(_LOCKED) == 0, "nobody has to wait for a backup that failed"
    await connection.close()


async def test_a_dump_that_cannot_be_read_is_found_before_the_database_is_emptied(
    database_factory: DatabaseFactory, tmp_path: Path
) -> None:
    url = await database_factory("cut", _tables)
    (tmp_path / "credits.dump").write_bytes(b"PGDMP\xff\xff of a later version")
    file = File("credits.dump", 0, "")
    note = DatabaseNote(
        revision="0001", server="10.0", system="", noted_at=datetime.now(UTC), lsn="", outbox=0, data=file, keys=file
    )
    with pytest.raises(UserError, match="cannot be read"):
        await databases._load(url, "credits", note, tmp_path, tmp_path, lambda _: None)
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM inbox") == 0
    await connection.close()


async def test_without_the_event_keys_nothing_is_restored(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to a topic could otherwise have a person erased, or a real event withdrawn."""
    monkeypatch.setenv("EVENT_KEYS_URL", str(tmp_path / "none.json"))
    touched: list[str] = []

    async def touch(*_: object) -> None:
        touched.append("databases")

    monkeypatch.setattr(databases, "require_idle", touch)
    made = Manifest(id="one", taken_at=datetime.now(UTC), prefix="", paused_ms=0, databases={}, ends={}, groups={})
    with pytest.raises(UserError, match="cannot read the event keys"):
        await restore(Stack(home, Choices()), made, Asked(tmp_path, tmp_path, data=False), touched.append)
    assert touched == []
