"""Orders to end a person's sessions: who gave them, when and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.sealing import Place
from makegood_chassis.service import Service

_ADD: Final = """
INSERT INTO revocations (id, person_id, jti, sealed, made_by, revoked_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_LIST: Final = """
SELECT id, person_id, jti, reason, sealed, made_by, revoked_at FROM revocations
WHERE person_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
_IN_THE_CLEAR: Final = """
SELECT id, person_id, reason FROM revocations WHERE reason <> '' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_SEAL: Final = """
UPDATE revocations SET sealed = new.sealed, reason = '' FROM unnest($1::uuid[], $2::bytea[]) AS new (id, sealed)
WHERE revocations.id = new.id
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
    (sealed,) = await unit.personal_data.seal(unit, [(Place("revocations", id, person_id), reason)])
    await unit.execute(_ADD, id, person_id, jti, sealed, made_by, revoked_at)


async def listed(queries: Queries, person_id: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Newest first, from before the id `before` on."""
    rows = await queries.fetch(_LIST, person_id, before, limit)
    places = [(Place("revocations", str(row["id"]), person_id), row["sealed"]) for row in rows]
    reasons = await queries.personal_data.open(queries, places)
    return [
        {**row, "id": str(row["id"]), "reason": row["reason"] if reason is None else reason}
        for row, reason in zip(rows, reasons, strict=True)
    ]


async def seal_reasons(service: Service, unit: UnitOfWork, at_once: int) -> int:
    """Seals reasons that an older version left in the clear; how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(Place("revocations", str(row["id"]), row["person_id"]), row["reason"]) for row in rows]
        await unit.execute(_SEAL, [row["id"] for row in rows], await unit.personal_data.seal(unit, texts))
    return len(rows)


async def next_sequence(unit: UnitOfWork, person_id: str) -> int:
    """The number of the next event about the person in notifications.people.v1."""
    number: int = await unit.fetch_value(_NEXT, person_id)
    return number
