"""What booking's topic told of the policy: how many credits one person of support adjusts alone."""

from __future__ import annotations

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement

from makegood_credits.domain.adjusting import LIMIT

# If an event comes twice, or out of a topic that is read again, the latest version stands.
_SAVE = Statement("""
INSERT INTO policy (version, adjustment_limit) VALUES (:version, :adjustment_limit)
ON CONFLICT (single) DO UPDATE SET version = excluded.version, adjustment_limit = excluded.adjustment_limit
WHERE policy.version < excluded.version
""")
_LIMIT = "SELECT adjustment_limit FROM policy"


async def save(unit: UnitOfWork, version: int, adjustment_limit: int) -> None:
    """Keeps the policy, unless a later one is known."""
    await unit.execute(_SAVE(version=version, adjustment_limit=adjustment_limit))


async def adjustment_limit(queries: Queries) -> int:
    """Credits that one person of support adjusts without a second one."""
    limit: int | None = await queries.fetch_value(_LIMIT)
    return LIMIT if limit is None else limit
