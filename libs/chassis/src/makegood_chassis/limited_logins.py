"""Whether a login could bypass its grants. A superuser or an owner can give itself every right."""

from __future__ import annotations

from typing import Final

import asyncpg

from makegood_chassis.database_link import UnusableDatabase

# The login itself, not the role that it has set, because a role can always be reset.
_POWER: Final = """
SELECT session_user::text AS login, CASE
    WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN 'is a superuser'
    WHEN pg_has_role(session_user, d.datdba, 'MEMBER') THEN 'owns the database'
    WHEN EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace
        AND pg_has_role(session_user, c.relowner, 'MEMBER')) THEN 'owns tables of the database'
    END AS power
FROM pg_database AS d WHERE d.datname = current_database()
"""


class UnlimitedLogin(UnusableDatabase):
    """A login with more rights than a running service may have. The message names the variable and says what to do."""


async def require_limited(url: str, variable: str) -> None:
    """Raises UnlimitedLogin if the login of `url`, the value of `variable`, is a superuser or owns what is in the database."""
    # Without prepared statements, because a pooler may be in between.
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        found = await connection.fetchrow(_POWER)
    finally:
        await connection.close()
    if found is not None and found["power"]:
        raise UnlimitedLogin(
            f"{variable}: {found['login']} {found['power']}, so it could bypass the grants; "
            "use a login that has only what `migrate` grants it (deploy/postgres/databases.sh makes them)"
        )
