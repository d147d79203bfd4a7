"""Pending erasures, and those that were carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork

_REQUEST: Final = """
INSERT INTO erasure_requests (person_id, reason, requested_by, requested_at, due_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (person_id) DO NOTHING
"""
_STATE: Final = """
SELECT 'pending' AS state, reason, requested_by, due_at, NULL::timestamptz AS erased_at FROM erasure_requests WHERE person_id = $1
UNION ALL
SELECT 'erased', reason, requested_by, NULL, erased_at FROM erasures WHERE person_id = $1
ORDER BY state DESC LIMIT 1
"""
_DUE: Final = """
DELETE FROM erasure_requests WHERE person_id = ANY($1::text[]) AND due_at <= $2 RETURNING person_id, reason, requested_by
"""
_TAKE_BACK: Final = "DELETE FROM erasure_requests WHERE person_id = $1 AND ($2 OR requested_by <> person_id)"


@dataclass(frozen=True, slots=True)
class Erasure:
    """The state of a person's erasure: `pending` until `due_at`, then `erased`. `requested_by` is a subject."""

    state: str
    reason: str | None
    requested_by: str | None
    due_at: datetime | None
    erased_at: datetime | None


async def request(unit: UnitOfWork, person_id: str, reason: str, requested_by: str, due_at: datetime) -> bool:
    """Saves the request. False if one is already pending."""
    return await unit.execute(_REQUEST, person_id, reason, requested_by, unit.now, due_at) == "INSERT 0 1"


async def take_back(unit: UnitOfWork, person_id: str, *, own: bool) -> bool:
    """Withdraws the pending erasure. One that the person requested is withdrawn only with `own`. False if there was
    none.
    """
    return await unit.execute(_TAKE_BACK, person_id, own) == "DELETE 1"


async def state(queries: Queries, person_id: str) -> Erasure:
    """The pending erasure, or else the last one that was carried out, or else `none`."""
    row = await queries.fetch_one(_STATE, person_id)
    return Erasure("none", None, None, None, None) if row is None else Erasure(*row)


async def due(unit: UnitOfWork, people: Sequence[str]) -> list[tuple[str, str, str]]:
    """Takes the due erasures as (person, reason, who requested it), always in the same order."""
    return sorted((row[0], row[1], row[2]) for row in await unit.fetch(_DUE, list(people), unit.now))
