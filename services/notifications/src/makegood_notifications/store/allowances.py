"""Counts uses of allowances. The statement that counts locks the row, so parallel requests queue up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.pruning import older

from makegood_notifications.domain.allowances import Allowance

_USE: Final = """
INSERT INTO allowances AS a (kind, entity_id, since, used) VALUES ($1, $2, $3, 1)
ON CONFLICT (kind, entity_id) DO UPDATE SET
    since = CASE WHEN a.since <= $3 - $4::interval THEN $3 ELSE a.since END,
    used = CASE WHEN a.since <= $3 - $4::interval THEN 1 ELSE a.used + 1 END
WHERE a.since <= $3 - $4::interval OR a.used < $5
RETURNING since
"""
_USE_MANY: Final = """
INSERT INTO allowances AS a (kind, entity_id, since, used)
SELECT $1, entity_id, $4, used FROM unnest($2::text[], $3::int[]) AS wanted (entity_id, used)
ON CONFLICT (kind, entity_id) DO UPDATE SET
    since = CASE WHEN a.since <= $4 - $5::interval THEN $4 ELSE a.since END,
    used = CASE WHEN a.since <= $4 - $5::interval THEN excluded.used ELSE a.used + excluded.used END
RETURNING entity_id, used
"""
_SINCE: Final = "SELECT since FROM allowances WHERE kind = $1 AND entity_id = $2"
RETENTION: Final = (older("allowances", "since"), timedelta(days=2))
"""Longer than any period."""


async def use(unit: UnitOfWork, allowance: Allowance, entity_id: str) -> datetime | None:
    """Uses the allowance of an entity once. None if there was one left, else when there will be, in product time."""
    if await unit.fetch_value(_USE, allowance.kind, entity_id, unit.now, allowance.period, allowance.most) is not None:
        return None
    return allowance.next_at(await unit.fetch_value(_SINCE, allowance.kind, entity_id))


async def use_many(unit: UnitOfWork, allowance: Allowance, wanted: Mapping[str, int]) -> dict[str, int]:
    """Uses the allowances of many entities. Returns how many uses each had left before."""
    entities = sorted(wanted)  # in a fixed order, so that no two batches deadlock
    counts = [wanted[entity] for entity in entities]
    rows = await unit.fetch(_USE_MANY, allowance.kind, entities, counts, unit.now, allowance.period)
    return {row[0]: max(0, allowance.most - (row[1] - wanted[row[0]])) for row in rows}
