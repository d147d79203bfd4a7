"""How a process connects to its database: the settings of each connection, and a pooler that may be in between.

A pooler such as PgBouncer in transaction mode runs each transaction on any of its connections to the server. So nothing may belong
to a session: no LISTEN, no settings, and no prepared statements unless the pooler keeps track of them. Locks are held within one
transaction everywhere here, and leases are rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

from makegood_chassis.connections import Connections

SEARCH_PATH: Final = "public, pg_temp"
"""With it named last, a temporary table cannot replace another one."""

_SESSION: Final = {
    "search_path": SEARCH_PATH,
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}
"""Each statement is planned once for each connection. Planned for each call, it takes PostgreSQL up to three times as long.

The plan must then suit every call, whatever the values are and however large the tables become. So it uses indexes, even while
the tables are so small that reading them whole would cost less.
"""


class UnusableDatabase(Exception):
    """No process may work with this address. The message says why, and what to do."""


class PoolerNotPrepared(UnusableDatabase):
    """The pooler's connections to PostgreSQL lack settings. The message says which, and where to set them."""


@dataclass(frozen=True)
class Pooler:
    """`direct_url`: the same database past the pooler, for LISTEN. `prepared`: whether the pooler keeps track of prepared
    statements."""

    direct_url: str
    prepared: bool = True


async def connect(url: str, most: int, application_name: str, pooler: Pooler | None) -> Connections:
    """At most so many connections. `pooler`: what `url` leads to, if it is not PostgreSQL itself.

    Raises OSError or asyncpg.PostgresError if the server cannot be reached, and PoolerNotPrepared.
    """
    settings = {"application_name": application_name, "timezone": "UTC", "datestyle": "ISO"}
    if pooler is None:
        return await Connections.open(url, most, settings | _SESSION)
    connections = await Connections.open(url, most, settings, prepared=pooler.prepared)
    try:
        async with connections.loan() as connection:
            await _require_settings(connection)
    except BaseException:
        await connections.close()
        raise
    return connections


async def _require_settings(
    connection: asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record],
) -> None:
    """A pooler does not take these settings from its clients."""
    rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", list(_SESSION))
    found = {row["name"]: row["setting"] for row in rows}
    if any(found[name] != value for name, value in _SESSION.items()):
        statements = "; ".join(f"SET {name} = {value}" for name, value in _SESSION.items())
        raise PoolerNotPrepared(
            f"the pooler's connections to PostgreSQL need these settings: {statements}. "
            "Put them into connect_query of pgbouncer.ini, and reconnect (docs/how-to/scaling.md)"
        )
