"""The policy from booking's topic: how many credits one support agent may adjust alone."""

from __future__ import annotations

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement

from makegood_credits.domain.adjusting import LIMIT

# An event may come twice, or from a topic that is read again. The latest version counts.
_SAVE = Statement("""
INSERT INTO policy (version, adjustment_limit) VALUES (:version, :adjustment_limit)
ON CONFLICT (single) DO UPDATE SET version = excluded.version, adjustment_limit = excluded.adjustment_limit
WHERE policy.version < excluded.version
""")
_LIMIT = "SELECT adjustment_limit FROM policy"


async def save(unit: UnitOfWork, version: int, adjustment_limit: int) -> None:
    """Saves the policy, unless a later one is known."""
    await unit.execute(_SAVE(version=version, adjustment_limit=adjustment_limit))


async def adjustment_limit(queries: Queries) -> int:
    """The number of credits that one support agent may adjust alone."""
    limit: int | None = await queries.fetch_value(_LIMIT)
    return LIMIT if limit is None else limit
