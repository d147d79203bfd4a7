"""Revocations of a person's tokens: who ordered them, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.sealing import Place

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


@dataclass(frozen=True, slots=True)
class Revocation:
    """`jti` is the one token that was revoked, None if all were. `revoked_at` is real time, as in tokens."""

    id: str
    person_id: str
    jti: str | None
    reason: str
    made_by: str
    revoked_at: datetime


async def add(unit: UnitOfWork, revocation: Revocation) -> None:
    one = revocation
    (sealed,) = await unit.personal_data.seal(unit, [(Place("revocations", one.id, one.person_id), one.reason)])
    await unit.execute(_ADD, one.id, one.person_id, one.jti, sealed, one.made_by, one.revoked_at)


async def listed(queries: Queries, person_id: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Revocations older than the one with id `before`, newest first."""
    rows = await queries.fetch(_LIST, person_id, before, limit)
    places = [(Place("revocations", str(row["id"]), person_id), row["sealed"]) for row in rows]
    reasons = await queries.personal_data.open(queries, places)
    return [
        {**row, "id": str(row["id"]), "reason": row["reason"] if reason is None else reason}
        for row, reason in zip(rows, reasons, strict=True)
    ]


async def seal_reasons(unit: UnitOfWork, at_once: int) -> int:
    """Encrypts reasons that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(Place("revocations", str(row["id"]), row["person_id"]), row["reason"]) for row in rows]
        await unit.execute(_SEAL, [row["id"] for row in rows], await unit.personal_data.seal(unit, texts))
    return len(rows)


async def next_sequence(unit: UnitOfWork, person_id: str) -> int:
    """The number of the next event about the person in notifications.people.v1."""
    number: int = await unit.fetch_value(_NEXT, person_id)
    return number
