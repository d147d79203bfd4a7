"""Fresh databases for tests: copied from a template that was migrated once, and dropped after the test."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

Prepare = Callable[[str], Awaitable[object] | object]
JOBS = ("owner", "pruner", "auditor")
"""The jobs that have their own login, in addition to the service's own."""
_PASSWORD = "secret"  # noqa: S105 - of servers that live as long as the tests


def with_parts(url: str, *, database: str, user: str | None = None) -> str:
    """The same server's address for another database, and another login if given."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    login = f"{user}:{_PASSWORD}" if user else parts.netloc.rpartition("@")[0]
    return urlunsplit((parts.scheme, f"{login}@{host}", f"/{database}", "", ""))


def as_login(url: str, job: str) -> str:
    """The address of a service's test database with the login of another job: `owner`, `pruner`, `auditor`."""
    parts = urlsplit(url)
    return with_parts(url, database=parts.path.lstrip("/"), user=f"{parts.username}_{job}")


@asynccontextmanager
async def as_owner(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a service's test database as its owner, for what only tests do."""
    connection = await asyncpg.connect(as_login(url, "owner"))
    try:
        yield connection
    finally:
        await connection.close()


async def tables_with(url: str, *words: str) -> list[str]:
    """The tables of a service's database that contain any of the words in any column, as text or as bytes."""
    marks = [mark for word in words for mark in (f"%{word}%", f"%{word.encode().hex()}%")]
    async with as_owner(url) as owner:
        tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        statement = "SELECT EXISTS (SELECT FROM {} AS t WHERE t::text LIKE ANY($1))"
        return [name for (name,) in tables if await owner.fetchval(statement.format(name), marks)]


def settings_of(service: str, url: str) -> dict[str, str]:
    """The addresses of a service's test database, by the names of the settings."""
    name = service.upper()
    return {
        f"{name}_DATABASE_URL": url,
        **{f"{name}_{job.upper()}_DATABASE_URL": as_login(url, job) for job in JOBS},
    }


def migrate_service(service: str) -> Prepare:
    """Runs the service's own migrations, as an operator would."""

    def prepare(url: str) -> None:
        values = {
            **os.environ,
            **settings_of(service, url),
            "MAKEGOOD_ENVIRONMENT": "development",
            "KAFKA_BOOTSTRAP_SERVERS": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
            "JWKS_URL": os.environ.get("JWKS_URL", "http://127.0.0.1:1/jwks.json"),
        }
        command = (sys.executable, "-m", f"makegood_{service}", "migrate")
        result = subprocess.run(command, env=values, capture_output=True, text=True, check=False)  # noqa: S603
        if result.returncode:
            raise RuntimeError(f"the migrations of {service} failed:\n{(result.stdout + result.stderr)[-3000:]}")

    return prepare


class Databases:
    """Creates databases on one server. A template is prepared at its first use and kept for the session."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._templates: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._made: list[str] = []
        self._session = uuid4().hex[:8]

    async def _admin(self, database: str | None = None) -> asyncpg.Connection:
        url = with_parts(self._admin_url, database=database) if database else self._admin_url
        return await asyncpg.connect(url)

    async def _template(self, name: str, prepare: Prepare | None) -> str:
        if name in self._templates:
            return self._templates[name]
        template = f"template_{name}_{self._session}"
        admin = await self._admin()
        try:
            there = {row[0] for row in await admin.fetch("SELECT rolname FROM pg_roles")}
            for role in [name] if prepare else [name, *(f"{name}_{job}" for job in JOBS)]:
                if role not in there:
                    await admin.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{_PASSWORD}'")
            owner = name if prepare else f"{name}_owner"
            self._owners[name] = owner
            await admin.execute(f'CREATE DATABASE "{template}" OWNER "{owner}"')
        finally:
            await admin.close()
        inside = await self._admin(template)
        try:
            await inside.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        finally:
            await inside.close()
        url = with_parts(self._admin_url, database=template, user=name)
        result = (prepare or migrate_service(name))(url)
        if inspect.isawaitable(result):
            await result
        self._templates[name] = template
        return template

    async def make(self, name: str, prepare: Prepare | None = None) -> str:
        """Creates a database of the service `name`. Returns its address with the service's login. For other logins, see
        `as_login`.

        Its template is prepared once, by the service's own migrations or by `prepare(url)`, plain or async. With
        `prepare`, the login `name` owns everything. The extension btree_gist exists already.
        """
        template = await self._template(name, prepare)
        database = f"test_{name}_{uuid4().hex[:12]}"
        admin = await self._admin()
        try:
            # A template must have no sessions, but those that prepared it may still be closing.
            await admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", template
            )
            await admin.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" OWNER "{self._owners[name]}"')
            # A copy takes over everything except the rights on the database itself.
            if prepare is None:
                logins = f'"{name}", "{name}_pruner", "{name}_auditor"'
                await admin.execute(
                    f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC; GRANT CONNECT ON DATABASE "{database}" TO {logins}'
                )
        finally:
            await admin.close()
        self._made.append(database)
        return with_parts(self._admin_url, database=database, user=name)

    async def drop(self, url: str) -> None:
        """Drops a database that was made here, even if clients are still connected."""
        database = urlsplit(url).path.lstrip("/")
        admin = await self._admin()
        try:
            await admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        finally:
            await admin.close()
        if database in self._made:
            self._made.remove(database)
