"""What booking's topic told of the policy: how many credits one person of support adjusts alone."""

from __future__ import annotations

from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.statements import Statement
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.domain.adjusting import LIMIT
from makegood_credits.store.tables import policy

_NEW: Final = insert(policy).values(version=bindparam("version"), adjustment_limit=bindparam("adjustment_limit"))
_SAVE = Statement(
    _NEW.on_conflict_do_update(
        index_elements=[policy.c.single],
        set_={"version": _NEW.excluded.version, "adjustment_limit": _NEW.excluded.adjustment_limit},
        # If it was told twice, or out of a topic that is read again, the latest version stands.
        where=policy.c.version < _NEW.excluded.version,
    )
)
_LIMIT = Statement(select(policy.c.adjustment_limit))


async def save(unit: UnitOfWork, version: int, adjustment_limit: int) -> None:
    """Keeps the policy, unless a later one is known."""
    await unit.execute(_SAVE(version=version, adjustment_limit=adjustment_limit))


async def adjustment_limit(queries: Queries) -> int:
    """Credits that one person of support adjusts without a second one."""
    limit: int | None = await queries.fetch_value(_LIMIT())
    return LIMIT if limit is None else limit
