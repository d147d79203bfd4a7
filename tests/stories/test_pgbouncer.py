"""The platform with PgBouncer between its processes and PostgreSQL, in transaction mode: a missed session with many processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.database_link import Pooler, PoolerNotPrepared
from makegood_stack.ports import LISTEN, SERVICES, free_port, is_free
from makegood_testkit.databases import JOBS, Databases, as_login, settings_of
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.waiting import until

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (Debian: apt-get install pgbouncer)"),
]
SETTINGS = "SET search_path = public, pg_temp; SET jit = off; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
SERVERS_OF_A_LOGIN = 4
"""Connections to PostgreSQL that PgBouncer opens for each login of a database."""


@dataclass(frozen=True)
class PgBouncer:
    """A running PgBouncer. `tracks`: whether it keeps track of prepared statements."""

    port: int
    tracks: bool

    def url(self, direct: str) -> str:
        """The address of a database through PgBouncer."""
        parts = urlsplit(direct)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@{LISTEN}:{self.port}"))


def _version() -> tuple[int, ...]:
    told = subprocess.run([str(PGBOUNCER), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", told)
    assert found, told
    return tuple(map(int, found.groups()))


def _start(folder: Path, postgres_port: int, port: int, connect_query: str) -> subprocess.Popen[bytes]:
    tracks = _version() >= (1, 21)
    logins = [f"{service}{job}" for service in SERVICES for job in ("", *(f"_{each}" for each in JOBS))]
    (folder / "users.txt").write_text("".join(f'"{login}" "secret"\n' for login in logins))
    (folder / "pgbouncer.ini").write_text(f"""
[databases]
* = host={LISTEN} port={postgres_port} connect_query='{connect_query}'
[pgbouncer]
listen_addr = {LISTEN}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {SERVERS_OF_A_LOGIN}
max_client_conn = 1000
query_wait_timeout = 10
{"max_prepared_statements = 200" if tracks else ""}
""")
    folder.chmod(0o755)
    # PgBouncer refuses to run as root.
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([str(PGBOUNCER), str(folder / "pgbouncer.ini")], stdout=log, stderr=log, **user)  # type: ignore[call-overload,no-any-return]


@contextmanager
def running(postgres_admin: str, connect_query: str = SETTINGS) -> Iterator[PgBouncer]:
    """A PgBouncer in front of the session's PostgreSQL."""
    port, postgres_port = free_port(), urlsplit(postgres_admin).port
    assert postgres_port is not None
    # Not below pytest's own folders, which others may not enter.
    with tempfile.TemporaryDirectory(prefix="makegood-pgbouncer-") as folder:
        process = _start(Path(folder), postgres_port, port, connect_query)
        try:
            until(lambda: not is_free(port) or process.poll() is not None, what="PgBouncer")
            assert process.poll() is None, (Path(folder) / "log").read_text()
            yield PgBouncer(port, _version() >= (1, 21))
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses(databases: Databases) -> AsyncIterator[dict[str, str]]:
    """The services' databases, past PgBouncer."""
    urls = {service: await databases.make(service) for service in SERVICES}
    yield urls
    for url in urls.values():
        await databases.drop(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pooled(
    postgres_admin: str,
    addresses: dict[str, str],
    kafka_servers: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Platform]:
    """Fourteen processes, with four connections to PostgreSQL for each login."""
    with running(postgres_admin) as pgbouncer:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka_servers,
            "REDIS_URL": redis_url,
            "KAFKA_TOPIC_PREFIX": "pooled.",
            "DATABASE_PREPARED_STATEMENTS": str(pgbouncer.tracks).lower(),
        }
        for service, direct in addresses.items():
            environment |= settings_of(service, direct)
            environment[f"{service.upper()}_DIRECT_DATABASE_URL"] = direct
            environment[f"{service.upper()}_DATABASE_URL"] = pgbouncer.url(direct)
            environment[f"{service.upper()}_PRUNER_DATABASE_URL"] = pgbouncer.url(as_login(direct, "pruner"))
        scale = {"booking-serve": 2, "booking-work": 2, "credits-work": 2, "availability": 2, "notifications": 2}
        platform = Platform.at(tmp_path_factory.mktemp("pooled"), environment, scale=scale)
        async with platform.running():
            yield platform


async def _backends(postgres_admin: str, database: str) -> dict[str, int]:
    """How many connections the server has to a database, by application name."""
    admin = await asyncpg.connect(postgres_admin)
    try:
        rows = await admin.fetch(
            "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = $1 GROUP BY 1", database
        )
        return dict(map(tuple, rows))
    finally:
        await admin.close()


@pytest.mark.extended
async def test_a_missed_session_is_made_good_through_the_pooler(
    pooled: Platform, addresses: dict[str, str], postgres_admin: str
) -> None:
    casts = [await Cast.assemble(pooled) for _ in range(8)]
    sessions = await asyncio.gather(*(cast.confirmed() for cast in casts))
    await pooled.advance_to(datetime.fromisoformat(sessions[0]["starts_at"]) + timedelta(minutes=15))
    for cast, session in zip(casts, sessions, strict=True):
        await cast.settled(session, "provider_missed", "returned")
        await cast.balance(available=4, held=0)
    await pooled.settle()
    assert await asyncio.to_thread(pooled.audit) == []
    # Direct connections only listen. Everything else shares the pooler's.
    database = urlsplit(addresses["booking"]).path.lstrip("/")
    names = await _backends(postgres_admin, database)
    listening = {name: count for name, count in names.items() if name in ("makegood-wake", "makegood-clock")}
    assert set(listening) == {"makegood-wake", "makegood-clock"}
    assert sum(names.values()) - sum(listening.values()) <= 2 * SERVERS_OF_A_LOGIN, names


async def test_without_its_settings_the_pooler_is_refused_with_the_line_that_is_missing(
    postgres_admin: str, addresses: dict[str, str]
) -> None:
    direct = addresses["credits"]
    with running(postgres_admin, "SET jit = on") as pgbouncer:
        database = Database(pgbouncer.url(direct), Clock(), pooler=Pooler(direct, pgbouncer.tracks))
        with pytest.raises(PoolerNotPrepared, match=r"SET plan_cache_mode = force_generic_plan.*connect_query"):
            await database.open()


async def test_statements_and_transactions_may_change_the_server_connection_at_any_time(
    postgres_admin: str, addresses: dict[str, str]
) -> None:
    """Clients that take turns on fewer connections than there are clients, with the same and with different statements."""
    direct = addresses["credits"]
    with running(postgres_admin) as pgbouncer:
        pooler = Pooler(direct, pgbouncer.tracks)
        clients = [Database(pgbouncer.url(direct), Clock(), pool_size=4, pooler=pooler) for _ in range(4)]
        for each in clients:
            await each.open()
        backends: set[int] = set()

        async def ask(client: Database, number: int) -> None:
            for turn in range(25):
                async with client.reading() as queries:
                    assert await queries.fetch_value("SELECT $1::int * 2", number) == number * 2
                    assert await queries.fetch_value(f"SELECT $1::int + {turn % 7}", number) == number + turn % 7
                    backends.add(await queries.fetch_value("SELECT pg_backend_pid()"))

        await asyncio.gather(*(ask(client, number) for number in range(8) for client in clients))
        for each in clients:
            await each.close()
    assert 1 < len(backends) <= SERVERS_OF_A_LOGIN
