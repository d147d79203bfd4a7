"""Deletes access rows after the retention, so that the rest of the chain can still be checked.

Rows are deleted only from the start of the chain. The seal of the last one stays as the new start, and a separate row
records the deletion. It is sealed and published like any other, so that readers of the topic know which rows were
deleted legitimately.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id

from makegood_chassis.access.chain import PRUNE
from makegood_chassis.database import Database
from makegood_chassis.repeating import repeat

if TYPE_CHECKING:
    from makegood_chassis.service import Service

_LAST_OLD: Final = """
SELECT max(number) FROM (
    SELECT number, bool_and(at IS NULL OR at < clock_timestamp() - $1::interval) OVER (ORDER BY number) AS old, at
    FROM (
        SELECT number, at FROM access_seals LEFT JOIN access_rows ON id = row_id ORDER BY number LIMIT $2
    ) AS first
) AS judged WHERE old AND at IS NOT NULL
"""
_FORGET: Final = """
WITH old AS (SELECT number, row_id FROM access_seals WHERE number <= $1),
remarks AS (DELETE FROM access_remarks WHERE row_id IN (SELECT row_id FROM old)),
seals AS (DELETE FROM access_seals WHERE number < $1)
DELETE FROM access_rows WHERE id IN (SELECT row_id FROM old)
"""
_SAY: Final = """
INSERT INTO access_rows (caller, role, operation, entity, outcome, request_id)
VALUES ('makegood', 'system', $1, $2, 'changed', $3)
"""
_EVERY: Final = 3600.0

_log = structlog.get_logger(__name__)


async def prune(database: Database, older_than: timedelta, *, at_once: int = 5000) -> int:
    """Deletes older rows in small steps. Returns how many."""
    gone = 0
    while True:
        story = new_id()
        async with database.transaction(Cause(story, story)) as unit:
            last = await unit.fetch_value(_LAST_OLD, older_than, at_once)
            if last is None:
                return gone
            gone += int((await unit.execute(_FORGET, last)).rpartition(" ")[2])
            await unit.execute(_SAY, PRUNE, f"seal:{last}", story)


async def keep_pruned(service: Service, retention_seconds: float) -> None:
    """Deletes expired rows once an hour."""

    async def job() -> None:
        if gone := await prune(service.pruner, timedelta(seconds=retention_seconds)):
            _log.info("access rows pruned", rows=gone)

    await repeat(job, _EVERY, soon=False, spread=True, name="prune-access")
