"""The databases of a cluster that operators run, and of the embedded one: made, taken over, with rights that are exact."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from makegood_stack import postgres
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.home import find_root
from makegood_stack.ports import SERVICES
from makegood_testkit.databases import settings_of, with_parts
from makegood_testkit.plugin import DatabaseFactory

_STRANGERS = """
SELECT format('%s may connect to %s', rolname, datname) FROM pg_roles, pg_database
WHERE rolcanlogin AND NOT rolsuper AND datallowconn AND has_database_privilege(rolname, datname, 'CONNECT')
    AND rolname !~ ('^' || replace(datname, 'makegood_', '') || '(_owner|_pruner|_auditor)?$')
"""
Make = Callable[[str], Awaitable[None]]
_SCRIPT = Path("deploy/postgres/databases.sh")
_TABLES = """
SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""


async def embedded(admin: str) -> None:
    """As `makegood up` does."""
    await postgres.make_databases(urlsplit(admin).port or 0)


async def by_script(admin: str) -> None:
    """As operators do, and `docker compose up`."""
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    parts = urlsplit(admin)
    values = {f"{service}{job}".upper() + "_PASSWORD": "secret" for service in SERVICES for job in ("", *_JOBS)}
    place = {"PGHOST": str(parts.hostname), "PGPORT": str(parts.port), "PGUSER": str(parts.username)}
    result = await asyncio.to_thread(
        subprocess.run,
        ["bash", str(find_root() / _SCRIPT)],
        env={**os.environ, **values, **place, "PGPASSWORD": str(parts.password)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


_JOBS = tuple(f"_{job}" for job in postgres.JOBS)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(url: str, query: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row[0] for row in await connection.fetch(query)}
    finally:
        await connection.close()


async def migrate(service: str, settings: dict[str, str]) -> tuple[int, str]:
    values = {**os.environ, **settings, "MAKEGOOD_ENVIRONMENT": "development"}
    values |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "JWKS_URL": "/nowhere"}
    command = [sys.executable, "-m", f"makegood_{service}", "migrate"]
    result = await asyncio.to_thread(subprocess.run, command, env=values, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize("make", [embedded, by_script])
async def test_a_database_of_an_earlier_release_is_taken_over_and_a_new_one_is_made(
    own_servers: EmbeddedServers, make: Make
) -> None:
    admin = own_servers.postgres().url
    await execute(admin, "CREATE ROLE credits LOGIN PASSWORD 'secret'")
    await execute(admin, "CREATE DATABASE makegood_credits OWNER credits")
    url = with_parts(admin, database="makegood_credits", user="credits")
    # As it was: one login that owns and does everything.
    assert (await migrate("credits", {"CREDITS_DATABASE_URL": url}))[0] == 0
    assert await fetch(url, _TABLES) == {"credits"}
    await execute(url, "INSERT INTO accounts (member_id) VALUES ('anna')")

    code, told = await _with_a_foreign_owner(admin, url)
    assert code == 1
    assert "REASSIGN OWNED BY" in told

    for _ in range(2):  # the second time changes nothing
        await make(admin)
    for service in SERVICES:
        own = with_parts(admin, database=f"makegood_{service}", user=service)
        code, told = await migrate(service, settings_of(service, own))
        assert code == 0, told
        assert await fetch(own, _TABLES) == {f"{service}_owner"}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(own, "DELETE FROM access_rows")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(own, "CREATE TABLE planted (id integer)")
    assert await fetch(admin, _STRANGERS) == set()
    assert await fetch(url, "SELECT member_id FROM accounts") == {"anna"}
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(url, "ALTER TABLE ledger_entries DISABLE TRIGGER ALL")


@pytest.mark.slow
async def test_a_migration_does_not_keep_the_services_waiting_behind_a_backup(
    database_factory: DatabaseFactory, postgres_admin: str
) -> None:
    url = await database_factory("credits")
    await execute(
        with_parts(postgres_admin, database=urlsplit(url).path.lstrip("/")),
        # 0013 changes the inbox; what 0014 made is taken back, so that it can be made again
        "DROP FUNCTION mark_accounts, mark_invoices, mark_enrolments CASCADE;"
        "DROP TABLE state_changes, erased_people, state_fills; UPDATE alembic_version SET version_num = '0012'",
    )
    backup = await asyncpg.connect(url)
    dumping = backup.transaction()
    await dumping.start()
    await backup.fetch("SELECT event_id FROM inbox")
    code, told = await migrate("credits", settings_of("credits", url))
    assert (code, "such as by a backup" in told.splitlines()[-1]) == (1, True), told
    await dumping.rollback()
    await backup.close()
    assert (await migrate("credits", settings_of("credits", url)))[0] == 0


async def _with_a_foreign_owner(admin: str, url: str) -> tuple[int, str]:
    """What `migrate` says to an owner that owns none of the tables yet."""
    await execute(
        admin, "CREATE ROLE credits_owner LOGIN PASSWORD 'secret'; GRANT CONNECT ON DATABASE makegood_credits TO PUBLIC"
    )
    told = await migrate("credits", settings_of("credits", url))
    await execute(admin, "REVOKE CONNECT ON DATABASE makegood_credits FROM PUBLIC; DROP ROLE credits_owner")
    return told


@pytest.mark.slow
@pytest.mark.rule("SEC-7")
async def test_the_server_knows_no_login_without_a_password_and_its_log_holds_no_values(
    own_servers: EmbeddedServers,
) -> None:
    admin = own_servers.postgres().url
    assert await fetch(admin, "SELECT DISTINCT auth_method FROM pg_hba_file_rules") == {"scram-sha-256"}
    await postgres.make_databases(urlsplit(admin).port or 0)
    stored = await fetch(admin, "SELECT coalesce(left(rolpassword, 14), '') FROM pg_authid WHERE rolcanlogin")
    assert stored == {"SCRAM-SHA-256$"}
    expected = {
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "password_encryption": "scram-sha-256",
    }
    for name, value in expected.items():
        assert await fetch(admin, f"SHOW {name}") == {value}
