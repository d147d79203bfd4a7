"""Whoever has a service's login can do with its database what the service does, and nothing else.

Every table, column, function and server of a service's database is tried with each login, by every statement that its
grants do not name: a table that is added is covered by itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

import asyncpg
import pytest
import pytest_asyncio
from makegood_chassis import revocation
from makegood_chassis.access import pruning as access_log
from makegood_chassis.access.sealer import seal_once
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.grants import Allowed, Grants
from makegood_chassis.messaging import inbox
from makegood_chassis.messaging.maintenance import PRUNE_KEYS
from makegood_chassis.pruning import prune
from makegood_contracts.events import ACCESS_RECORDED
from makegood_stack.ports import SERVICES
from makegood_testkit.databases import Databases, as_login, with_parts

from .forbidden import EVERYWHERE, ON_A_TABLE, OUTSIDE_TRANSACTIONS

pytestmark = pytest.mark.rule("SEC-7")

JOBS = ("runtime", "pruner", "auditor")
_PRIVILEGE = re.compile(r"(SELECT|INSERT|UPDATE|DELETE)\s*(?:\(([^)]*)\))?")
_COLUMNS = """
SELECT c.relname AS table, a.attname AS column, c.relkind = 'v' AS is_view
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1, a.attnum
"""
_SEQUENCES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'"
_FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""
_NOT_THE_OWNERS = """
SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_get_userbyid(relowner) <> $1
UNION ALL
SELECT proname::text FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) <> $1
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""
_OLD = (
    # An event's id begins with when it was made.
    "INSERT INTO inbox (event_id, handled_at, state) VALUES ('00000000-0000-7000-8000-000000000001', '2020-01-01', 'done'), "
    "('00000000-0000-7000-8000-000000000002', '2020-01-01', 'dead'), (gen_random_uuid(), now(), 'done')",
    "INSERT INTO idempotency_keys (caller, key, fingerprint, created_at) VALUES ('a', 'old', '', '2020-01-01'), ('a', 'new', '', now())",
    "INSERT INTO access_rows (at, caller, role, operation, person_id, outcome, request_id) "
    "VALUES ('2020-01-01', 'a', 'support', 'x', 'b', 'shown', 'r')",
    "INSERT INTO revoked_tokens (person_id, jti, revoked_at, kept_at) VALUES ('a', 'old', now(), '2020-01-01'), ('a', 'new', now(), now())",
)
_NOTHING_GRANTED = frozenset({"01006", "01007"})
"""How the server refuses a `GRANT` to somebody who has the right without the right to pass it on."""
_SEQUENCE = ("SELECT nextval('public.{0}')", "SELECT setval('public.{0}', 1)", "SELECT last_value FROM public.{0}")


def grants_of(service: str) -> Grants:
    grants: Grants = import_module(f"makegood_{service}.store.grants").GRANTS
    return grants


@dataclass(frozen=True)
class Walls:
    """A service's fresh database, its tables with their columns, and a session of each login."""

    service: str
    url: str
    tables: Mapping[str, list[str]]
    views: frozenset[str]
    owner: asyncpg.Connection
    logins: Mapping[str, asyncpg.Connection]

    def granted(self, table: str, job: str) -> dict[str, set[str]]:
        """Privilege → columns, as the service's grants have it in development, where the databases of tests are made."""
        allowed = grants_of(self.service).get(table, Allowed())
        stated = str(getattr(allowed, job)) + (f", {allowed.development}" if job == "runtime" else "")
        found: dict[str, set[str]] = {}
        for privilege, columns in _PRIVILEGE.findall(stated):
            named = {name.strip() for name in columns.split(",")} if columns else set(self.tables[table])
            found.setdefault(privilege, set()).update(named)
        return found

    def ungranted(self, job: str) -> Iterator[str]:
        """Every statement on every table that the login of this job must not be able to do."""
        for table, columns in self.tables.items():
            granted = self.granted(table, job)
            for column in columns:
                if column not in granted.get("SELECT", ()):
                    yield f'SELECT "{column}" FROM public.{table} LIMIT 0'
                if table not in self.views and column not in granted.get("INSERT", ()):
                    yield f'INSERT INTO public.{table} ("{column}") VALUES (DEFAULT)'
                if table not in self.views and column not in granted.get("UPDATE", ()):
                    yield f'UPDATE public.{table} SET "{column}" = DEFAULT'
            if table in self.views:
                yield f"DROP VIEW public.{table}"
                continue
            if "DELETE" not in granted:
                yield f"DELETE FROM public.{table}"
                yield f"LOCK TABLE public.{table} IN ACCESS EXCLUSIVE MODE"
            yield from (statement.format(table, column=columns[0]) for statement in ON_A_TABLE)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, Clock(), pool_size=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def addresses(databases: Databases) -> AsyncIterator[dict[str, str]]:
    """A fresh database of each service."""
    made = {service: await databases.make(service) for service in SERVICES}
    yield made
    for url in made.values():
        await databases.drop(url)


@pytest_asyncio.fixture(scope="module", params=SERVICES, loop_scope="session")
async def walls(request: pytest.FixtureRequest, addresses: dict[str, str]) -> AsyncIterator[Walls]:
    service: str = request.param
    url = addresses[service]
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(connected(as_login(url, "owner")))
        tables: dict[str, list[str]] = {}
        views = set()
        for row in await owner.fetch(_COLUMNS):
            tables.setdefault(row["table"], []).append(row["column"])
            views |= {row["table"]} if row["is_view"] else set()
        urls = {"runtime": url, "pruner": as_login(url, "pruner"), "auditor": as_login(url, "auditor")}
        logins = {job: await stack.enter_async_context(connected(address)) for job, address in urls.items()}
        yield Walls(service, url, tables, frozenset(views), owner, logins)


async def permitted(
    connection: asyncpg.Connection, statements: Iterable[str], *, in_transactions: bool = True
) -> list[str]:
    """Those of the statements that the server does not refuse for want of a right; in transactions, none of them lasts."""
    done, warnings = [], []
    connection.add_log_listener(lambda _, message: warnings.append(message.sqlstate))
    for statement in statements:
        step = connection.transaction()
        if in_transactions:
            await step.start()
        warnings.clear()
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            pass
        except asyncpg.PostgresError as error:
            done.append(f"{statement} ({type(error).__name__}: {error})")
        else:
            if not _NOTHING_GRANTED.intersection(warnings):
                done.append(statement)
        finally:
            if in_transactions:
                await step.rollback()
    return done


@pytest.mark.parametrize("job", JOBS)
async def test_no_login_does_to_a_table_what_its_grants_do_not_name(walls: Walls, job: str) -> None:
    assert await permitted(walls.logins[job], walls.ungranted(job)) == []


@pytest.mark.parametrize("job", JOBS)
async def test_no_login_changes_the_database_the_server_or_its_own_rights(walls: Walls, job: str) -> None:
    names = {"service": walls.service, "database": walls.url.rpartition("/")[2]}
    login = walls.logins[job]
    assert await permitted(login, (statement.format(**names) for statement in EVERYWHERE)) == []
    outside = (statement.format(**names) for statement in OUTSIDE_TRANSACTIONS)
    assert await permitted(login, outside, in_transactions=False) == []


@pytest.mark.parametrize("job", JOBS)
async def test_no_login_uses_a_sequence_or_a_function_of_its_own_accord(walls: Walls, job: str) -> None:
    """Numbers come from the tables' own columns, and functions run as triggers: neither needs a right."""
    sequences = [row[0] for row in await walls.owner.fetch(_SEQUENCES)]
    statements = (each.format(name) for name in sequences for each in _SEQUENCE)
    assert await permitted(walls.logins[job], statements) == []
    role = await walls.logins[job].fetchval("SELECT current_user")
    for (function,) in await walls.owner.fetch(_FUNCTIONS):
        assert not await walls.owner.fetchval("SELECT has_function_privilege($1, $2, 'EXECUTE')", role, function)


async def test_money_and_audit_rows_are_written_once_and_for_all(walls: Walls) -> None:
    """Said by hand, not read off the grants: a mistake in them must not make itself right."""
    for table in {"ledger_entries", "access_rows", "access_seals", "session_history", "policies"} & set(walls.tables):
        for statement in (
            f"UPDATE {table} SET {walls.tables[table][0]} = DEFAULT",
            f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"DROP TABLE {table}",
        ):
            for job, login in walls.logins.items():
                assert await permitted(login, [statement]) == [], (job, statement)
        assert await permitted(walls.logins["runtime"], [f"DELETE FROM {table}"]) == []
    if "ledger_entries" in walls.tables:
        assert await permitted(walls.logins["pruner"], ["DELETE FROM ledger_entries"]) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await walls.logins["pruner"].fetch("SELECT body FROM idempotency_keys")


async def test_every_table_has_its_line_and_every_line_its_table(walls: Walls) -> None:
    assert set(grants_of(walls.service)) == set(walls.tables)


async def test_everything_belongs_to_the_owner(walls: Walls) -> None:
    assert [row[0] for row in await walls.owner.fetch(_NOT_THE_OWNERS, f"{walls.service}_owner")] == []


async def test_nobody_enters_another_services_database(walls: Walls) -> None:
    database = walls.url.rpartition("/")[2]
    for stranger in SERVICES:
        for job in ("", "_owner", "_pruner", "_auditor"):
            if stranger != walls.service:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await asyncpg.connect(with_parts(walls.url, database=database, user=stranger + job))


async def test_the_pruner_forgets_what_is_old_and_the_service_itself_cannot(walls: Walls) -> None:
    for statement in _OLD:
        await walls.owner.execute(statement)
    day = timedelta(days=1)
    async with opened(walls.url) as service, opened(as_login(walls.url, "pruner")) as pruner:
        await seal_once(service, {str(name): event for name, event in ACCESS_RECORDED.items()}[walls.service])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await prune(service, inbox.PRUNE, day)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await access_log.prune(service, day)
        assert await prune(pruner, inbox.PRUNE, day) == 1
        assert await prune(pruner, PRUNE_KEYS, day) == 1
        assert await access_log.prune(pruner, day) == 1
        await prune(pruner, revocation.PRUNE, day)
    assert await walls.owner.fetchval("SELECT count(*) FROM revoked_tokens") == 1
    assert await walls.owner.fetchval("SELECT count(*) FROM inbox") == 2, "what is new, and dead letters"
    assert await walls.owner.fetchval("SELECT count(*) FROM idempotency_keys") == 1
