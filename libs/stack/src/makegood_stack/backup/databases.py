"""Brings the databases of a backup back: empties them, loads the dumps, and migrates to this release's tables."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

import asyncpg
from makegood_chassis.grants import login_of
from makegood_chassis.secret_files import variable
from makegood_chassis.settings import ServiceSettings
from makegood_devtools.errors import UserError

from makegood_stack.backup import programs
from makegood_stack.backup.manifest import DatabaseNote, Manifest
from makegood_stack.backup.taking import Say, at_once
from makegood_stack.config import Stack
from makegood_stack.ports import SERVICES

_TABLES: Final = """
SELECT count(*) FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""
_OTHERS: Final = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename::text) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename::text = ANY($1::text[])
  AND application_name <> 'makegood-backup'
"""
_EMPTY: Final = """
DO $$
DECLARE one record;
BEGIN
    FOR one IN
        SELECT c.relname AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind
        FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
    LOOP EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', one.kind, one.name); END LOOP;
    FOR one IN
        SELECT c.relname AS name FROM pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
    LOOP EXECUTE format('DROP SEQUENCE IF EXISTS public.%I CASCADE', one.name); END LOOP;
    FOR one IN
        SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
        WHERE p.pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', one.name); END LOOP;
END $$
"""
"""What belongs to an extension stays: the owner may not be allowed to make it again."""
_TIDY: Final = "DELETE FROM processes; DELETE FROM leases"
"""Of processes that are gone."""
_LEFT_OUT: Final = re.compile(rb"^\d+; \d+ \d+ (EXTENSION|COMMENT - EXTENSION|SCHEMA|COMMENT - SCHEMA) ", re.MULTILINE)


async def connected(service: str, url: str) -> Any:
    """A connection for one command. Raises UserError if the server does not answer."""
    try:
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "makegood-backup"})
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise UserError(
            f"the database of {service} does not answer ({type(error).__name__}). Start it with: makegood up --only postgresql"
        ) from error


async def require_idle(stack: Stack) -> None:
    """Raises UserError if a process of a service is connected to its database."""
    busy = []
    for service in SERVICES:
        connection = await connected(service, stack.database_url(service, "owner"))
        try:
            logins = [login_of(stack.database_url(service, job)) for job in ("", "owner", "pruner")]
            others = [str(row[0]) for row in await connection.fetch(_OTHERS, logins)]
        finally:
            await connection.close()
        if others:
            busy.append(f"{service} ({', '.join(sorted(others))})")
    if busy:
        raise UserError(
            f"these databases are in use: {'; '.join(busy)}. Stop all services first, on every machine (here: makegood down)"
        )


async def require_empty(stack: Stack) -> None:
    """Raises UserError if one of the databases has tables."""
    full = []
    for service in SERVICES:
        connection = await connected(service, stack.database_url(service, "owner"))
        try:
            if await connection.fetchval(_TABLES):
                full.append(service)
        finally:
            await connection.close()
    if full:
        raise UserError(
            f"these databases are not empty: {', '.join(full)}. To delete what is in them and restore the backup: add --replace"
        )


async def restore(stack: Stack, manifest: Manifest, folder: Path, keys: Path, say: Say) -> None:
    """Replaces what is in the four databases with the backup, and migrates. Each becomes complete or stays empty."""
    await at_once(
        {
            service: _load(stack.database_url(service, "owner"), service, note, folder, keys, say)
            for service, note in manifest.databases.items()
        }
    )
    await at_once({service: _migrate(stack, service) for service in SERVICES})
    say("  tables and rights are those of this release")


async def _load(url: str, service: str, note: DatabaseNote, folder: Path, keys: Path, say: Say) -> None:
    assert note.data is not None
    assert note.keys is not None
    pg_restore = await programs.program("pg_restore", int(note.server.split(".")[0]))
    # A dump that this program cannot read must be found before the database is emptied.
    contents = await _contents(pg_restore, folder / note.data.name)
    await _contents(pg_restore, keys / note.keys.name)
    connection = await connected(service, url)
    try:
        await connection.execute(_EMPTY)
        if service == "availability":
            await connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        once = (pg_restore, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        command = (*once, "--use-list=/dev/stdin", str(folder / note.data.name))
        await programs.run(command, url, service, give=contents)
        await programs.run((*once, "--data-only", str(keys / note.keys.name)), url, service)
        await connection.execute(_TIDY)
        # Without fresh statistics, the first queries of a large database take far longer.
        await connection.execute("ANALYZE")
    except asyncpg.PostgresError as error:
        raise UserError(f"the database of {service} cannot be restored: {error}") from error
    finally:
        await connection.close()
    say(f"  {service:<14} restored")


async def _contents(pg_restore: str, dump: Path) -> bytes:
    """What to load from the dump: everything but extensions and the schema itself, which are not the owner's."""
    process = await asyncio.create_subprocess_exec(
        pg_restore, "--list", str(dump), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    listed, errors = await process.communicate()
    if process.returncode:
        raise UserError(f"{dump} cannot be read: {errors.decode(errors='replace').strip()[-300:]}")
    return b"\n".join(line for line in listed.splitlines() if not _LEFT_OUT.match(line)) + b"\n"


async def _migrate(stack: Stack, service: str) -> None:
    """Runs the service's role `migrate`, which also grants the logins their rights. It needs no setting but these."""
    jobs = {"": "", "OWNER_": "owner", "PRUNER_": "pruner"}
    urls = {f"{service.upper()}_{prefix}DATABASE_URL": stack.database_url(service, job) for prefix, job in jobs.items()}
    # Settings that came from files have already been read, and the others are for this command.
    unneeded = {variable(name, info) for name, info in ServiceSettings.model_fields.items()} | urls.keys()
    others = {name: value for name, value in os.environ.items() if not {name, name.removesuffix("_FILE")} & unneeded}
    environment = os.environ.get("MAKEGOOD_ENVIRONMENT", "development")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"makegood_{service}",
        "migrate",
        env={**others, **urls, "MAKEGOOD_ENVIRONMENT": environment},
        cwd=stack.home.root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        end = output.decode(errors="replace").strip()[-600:]
        raise UserError(
            f"{service} is restored, but its role migrate failed. Run it again, then --step reconcile:\n{end}"
        )
