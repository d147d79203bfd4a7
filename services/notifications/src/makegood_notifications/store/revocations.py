"""Orders to end a person's sessions: who gave them, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row, UnitOfWork

_ADD: Final = """
INSERT INTO revocations (id, person_id, jti, reason, made_by, revoked_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_LIST: Final = """
SELECT id, person_id, jti, reason, made_by, revoked_at FROM revocations
WHERE person_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
_NEXT: Final = """
INSERT INTO person_sequences (person_id, sequence) VALUES ($1, 1)
ON CONFLICT (person_id) DO UPDATE SET sequence = person_sequences.sequence + 1
RETURNING sequence
"""


async def add(
    unit: UnitOfWork, id: str, person_id: str, jti: str | None, reason: str, made_by: str, revoked_at: datetime
) -> None:
    """`revoked_at` in real time, as tokens count it."""
    await unit.execute(_ADD, id, person_id, jti, reason, made_by, revoked_at)


async def listed(queries: Queries, person_id: str, before: str | None, limit: int) -> Sequence[Row]:
    """Newest first, from before the id `before` on."""
    return await queries.fetch(_LIST, person_id, before, limit)


async def next_sequence(unit: UnitOfWork, person_id: str) -> int:
    """The number of the next event about the person in notifications.people.v1."""
    number: int = await unit.fetch_value(_NEXT, person_id)
    return number
