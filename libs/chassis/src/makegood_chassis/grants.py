"""What each login may do in a service's database. It is listed by table, and applied at the end of every migration.

A service has a login for each job, so that a stolen one can do only that job:

owner: `migrate` alone; the tables, functions and triggers are its own.
runtime: the service; reads and writes what its code needs, and can change no table, trigger or right.
pruner: deletes what is kept long enough (role `work`); reads no more than what tells it so.
auditor: `makegood audit` and `makegood status`; reads. It is there if the cluster has the role `<runtime>_auditor`.

A table without a line here is open to the owner alone. Where one login does several jobs, it keeps what an owner has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg


class Allowed(NamedTuple):
    """What may be done with one table or view: privileges as in `GRANT`, such as `SELECT, UPDATE (state)`."""

    runtime: str = ""
    pruner: str = ""
    auditor: str = ""
    development: str = ""
    """What the runtime login may do in addition if MAKEGOOD_ENVIRONMENT is `development`."""


Grants = Mapping[str, Allowed]

_OF_AN_ACCESS: Final = "caller, role, operation, person_id, entity, outcome, reason, remark_digest, times, request_id"
"""The columns that a service inserts. The database sets the time and the number."""

CHASSIS: Final[Grants] = {
    "alembic_version": Allowed(),
    "outbox": Allowed("SELECT, INSERT (topic, key, headers, payload), DELETE", auditor="SELECT (id, created_at)"),
    # A login that can delete an event's id can make it count twice.
    "inbox": Allowed(
        "SELECT, INSERT (event_id, state, redrive), UPDATE (state, redrive, handled_at)",
        pruner="SELECT (ctid, event_id, state, handled_at), DELETE",
        auditor="SELECT (event_id, state)",
    ),
    "state_changes": Allowed("SELECT, INSERT (topic, key), DELETE", auditor="SELECT (id, topic)"),
    "erased_people": Allowed("SELECT, INSERT", auditor="SELECT"),
    "state_fills": Allowed("SELECT, INSERT, UPDATE (after_key, done)"),
    "deadlines": Allowed("SELECT, INSERT, UPDATE (due_at, attempts), DELETE", auditor="SELECT"),
    "leases": Allowed("SELECT, INSERT, UPDATE (holder, fence, expires_at)"),
    "idempotency_keys": Allowed(
        "SELECT, INSERT (caller, key, fingerprint, resource), UPDATE (status, headers, body, sealed_for), DELETE",
        pruner="SELECT (ctid, created_at), DELETE",
    ),
    # Only the service itself reads people's keys, wrapped or not.
    "personal_keys": Allowed("SELECT, INSERT (person_id, wrapped, master_key), UPDATE (wrapped, master_key), DELETE"),
    "revoked_tokens": Allowed(
        "SELECT, INSERT (person_id, jti, revoked_at), UPDATE (revoked_at, kept_at)",
        pruner="SELECT (ctid, kept_at), DELETE",
    ),
    # Rows of the access log and the links of their chain are only added. The pruner deletes the oldest, and records
    # that in a row.
    "access_rows": Allowed(
        f"SELECT, INSERT ({_OF_AN_ACCESS})",
        pruner=f"SELECT (id, at), INSERT ({_OF_AN_ACCESS}), DELETE",
        auditor="SELECT",
    ),
    "access_remarks": Allowed(
        "SELECT, INSERT, DELETE", pruner="SELECT (row_id), INSERT (row_id, salt, remark), DELETE"
    ),
    "access_unsealed": Allowed("SELECT, INSERT (row_id), DELETE", pruner="INSERT (row_id)", auditor="SELECT"),
    "access_seals": Allowed(
        "SELECT, INSERT (number, row_id, row_hash, hash)", pruner="SELECT (number, row_id), DELETE", auditor="SELECT"
    ),
    "clock": Allowed("SELECT", auditor="SELECT", development="UPDATE (offset_seconds, revision)"),
    "processes": Allowed(
        "SELECT, INSERT (id, role, clock_revision), UPDATE (clock_revision, seen_at), DELETE",
        pruner="SELECT (ctid, seen_at), DELETE",
        auditor="SELECT",
    ),
}
"""The tables of every service's database: those of `messaging.tables`, `access.tables` and `revocation`."""


@dataclass(frozen=True, slots=True)
class Logins:
    """The roles that use a database besides its owner."""

    runtime: str
    pruner: str

    @classmethod
    def of(cls, runtime_url: str, pruner_url: str) -> Logins:
        """The roles in the addresses. Raises ValueError for an address without a login."""
        return cls(login_of(runtime_url), login_of(pruner_url))

    @property
    def auditor(self) -> str:
        return f"{self.runtime}_auditor"


def login_of(url: str) -> str:
    """The login in a database's address. Raises ValueError if there is none."""
    parts = urlsplit(url)
    login = unquote(parts.username or "") or dict(parse_qsl(parts.query)).get("user", "")
    if not login:
        raise ValueError("the database's address must name a login: postgresql://login:secret@host/database")
    return login


class NotTheOwner(Exception):
    """The tables belong to another login than the one that migrates."""


_OTHER_OWNERS: Final = """
SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT pg_has_role(current_user, c.relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
_OWNED: Final = """
SELECT c.relname, c.relkind = 'S' AS is_sequence FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND pg_has_role(current_user, c.relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname
"""
_FUNCTIONS: Final = """
SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND pg_has_role(current_user, p.proowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
"""
_PLACE: Final = """
SELECT current_user::text AS owner, current_database()::text AS database,
    EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS has_auditor,
    pg_has_role(current_user, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') AS owns_database
"""


async def require_ownership(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Raises NotTheOwner, with advice, if existing tables belong to another login."""
    others = [str(row[0]) for row in await connection.fetch(_OTHER_OWNERS)]
    if others:
        here, owner = await connection.fetchrow("SELECT current_database(), current_user") or ("", "")
        raise NotTheOwner(
            f"the tables of {here} belong to {', '.join(others)}, but {owner} migrates. As a superuser, connected to "
            f"{here}: " + " ".join(f"REASSIGN OWNED BY {_name(other)} TO {_name(owner)};" for other in others)
        )


async def apply(
    connection: asyncpg.Connection[asyncpg.Record], grants: Grants, logins: Logins | None, *, development: bool
) -> None:
    """Gives the logins exactly the rights that are listed here. The connection is the owner's, in a transaction.

    `logins`: None if the owner's login is the only one.
    """
    place = await connection.fetchrow(_PLACE, logins.auditor if logins else "")
    assert place is not None
    statements = list(
        _statements(
            grants,
            roles=_roles(logins, str(place["owner"]), has_auditor=bool(place["has_auditor"])) if logins else {},
            prunes=logins is not None and logins.pruner == logins.runtime,
            database=str(place["database"]) if place["owns_database"] else None,
            relations=[(str(name), bool(is_sequence)) for name, is_sequence in await connection.fetch(_OWNED)],
            functions=[str(row[0]) for row in await connection.fetch(_FUNCTIONS)],
            development=development,
        )
    )
    await connection.execute(";\n".join(statements))


def _roles(logins: Logins, owner: str, *, has_auditor: bool) -> dict[str, str]:
    """Job → role, for the jobs that have their own role. The owner needs no rights."""
    roles = {"runtime": logins.runtime}
    if logins.pruner != logins.runtime:
        roles["pruner"] = logins.pruner
    if has_auditor:
        roles["auditor"] = logins.auditor
    return {job: role for job, role in roles.items() if role != owner}


def _statements(
    grants: Grants,
    *,
    roles: Mapping[str, str],
    prunes: bool,
    database: str | None,
    relations: Iterable[tuple[str, bool]],
    functions: Iterable[str],
    development: bool,
) -> Iterator[str]:
    names = [_name(role) for role in roles.values()]
    everybody = ", ".join(["PUBLIC", *names])
    tables = [f"public.{_name(name)}" for name, is_sequence in relations if not is_sequence]
    sequences = [f"public.{_name(name)}" for name, is_sequence in relations if is_sequence]
    if database is not None:
        yield f"REVOKE ALL ON DATABASE {_name(database)} FROM {everybody}"
        yield f"REVOKE ALL ON SCHEMA public FROM {everybody}"
    if tables:
        yield f"REVOKE ALL ON TABLE {', '.join(tables)} FROM {everybody}"
    if sequences:
        yield f"REVOKE ALL ON SEQUENCE {', '.join(sequences)} FROM {everybody}"
    for function in functions:
        yield f"REVOKE ALL ON FUNCTION {function} FROM {everybody}"
    if not names:
        return
    if database is not None:
        yield f"GRANT CONNECT ON DATABASE {_name(database)} TO {', '.join(names)}"
    yield f"GRANT USAGE ON SCHEMA public TO {', '.join(names)}"
    for table, allowed in grants.items():
        for job, role in roles.items():
            wanted = [str(getattr(allowed, job))]
            if job == "runtime":
                wanted += [allowed.pruner] if prunes else []
                wanted += [allowed.development] if development else []
            for privileges in filter(None, wanted):
                yield f"GRANT {privileges} ON TABLE public.{_name(table)} TO {_name(role)}"


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
