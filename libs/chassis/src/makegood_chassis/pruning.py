"""Deletes rows that were kept long enough, in small steps, in the same way for all tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from makegood_chassis.database import Database
from makegood_chassis.repeating import repeat

if TYPE_CHECKING:
    from makegood_chassis.service import Service

AT_ONCE: Final = 5000
_EVERY: Final = 600.0
_log = structlog.get_logger(__name__)


def older(table: str, moment: str, condition: str = "true") -> str:
    """The statement for `prune` that deletes the rows whose `moment` is long enough ago."""
    # Not clock_timestamp(): it may differ from row to row, so no index would serve the condition.
    return f"""
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE {moment} < statement_timestamp() - $1::interval AND {condition} LIMIT $2
))
"""  # noqa: S608 - names of ours


async def prune(database: Database, statement: str, kept: timedelta, *, at_once: int = AT_ONCE) -> int:
    """Runs the statement (`$1`: how long rows are kept, `$2`: how many to delete at most) until it finds fewer. Returns
    how many were deleted.
    """
    gone = 0
    while True:
        async with database.reading() as queries:
            step = int((await queries.execute(statement, kept, at_once)).rpartition(" ")[2])
        gone += step
        if step < at_once:
            return gone


def keep_pruned(**retentions: tuple[str, timedelta]) -> Callable[[Service], Awaitable[None]]:
    """A worker that prunes every ten minutes. Takes, by the name of the rows, a statement and how long rows are kept."""

    async def pruning(service: Service) -> None:
        await repeat(partial(prune_all, service.pruner, retentions), _EVERY, spread=True, name="prune-own")

    return pruning


async def prune_all(database: Database, retentions: dict[str, tuple[str, timedelta]]) -> None:
    gone = {name: await prune(database, *retention) for name, retention in retentions.items()}
    if any(gone.values()):
        _log.info("pruned", **gone)
