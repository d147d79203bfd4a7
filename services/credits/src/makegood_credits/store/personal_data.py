"""What support writes with an entry of the ledger, a proposal or a voided invoice: beside them, sealed with the member's key, and
erased with the member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.personal_data.sealing import Place
from makegood_chassis.service import Service

BY_HAND: Final = "Made by support."
"""What stands in the reason's place, and is all that is left of it once the member is erased."""

Kind = Literal["entry", "proposal", "invoice"]

_KEEP: Final = """
INSERT INTO support_reasons (kind, entity_id, member_id, sealed)
SELECT $1, id, $2, sealed FROM unnest($3::uuid[], $4::bytea[]) AS new (id, sealed)
"""
_READ: Final = """
SELECT kind, entity_id, member_id, reason, sealed FROM support_reasons WHERE kind = $1 AND entity_id = ANY($2::uuid[])
"""
_ERASE: Final = "DELETE FROM support_reasons WHERE member_id = ANY($1::text[])"
_IN_THE_CLEAR: Final = """
SELECT kind, entity_id, member_id, reason FROM support_reasons WHERE reason IS NOT NULL
ORDER BY kind, entity_id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_SEAL: Final = """
UPDATE support_reasons AS r SET sealed = new.sealed, reason = NULL
FROM unnest($1::text[], $2::uuid[], $3::bytea[]) AS new (kind, id, sealed) WHERE r.kind = new.kind AND r.entity_id = new.id
"""


async def keep_reason(unit: UnitOfWork, kind: Kind, member_id: str, ids: Sequence[str], reason: str) -> None:
    """What somebody wrote with these things of the member."""
    sealed = await unit.personal_data.seal(unit, [(_place(kind, one, member_id), reason) for one in ids])
    await unit.execute(_KEEP, kind, member_id, list(ids), sealed)


async def read_reasons(queries: Queries, kind: Kind, ids: Sequence[object]) -> dict[str, str]:
    """What was written with those of them that have something, and whose member was not erased."""
    rows = await queries.fetch(_READ, kind, list(ids)) if ids else []
    texts = await queries.personal_data.open(queries, [(_place_of(row), row["sealed"]) for row in rows])
    found = {
        str(row["entity_id"]): row["reason"] if text is None else text for row, text in zip(rows, texts, strict=True)
    }
    return {one: text for one, text in found.items() if text is not None}


async def erase(unit: UnitOfWork, people: Sequence[str]) -> None:
    """Erases what was written about these people, with their keys; the ledger keeps who, when and how much."""
    await unit.personal_data.erase(unit, people)
    await unit.execute(_ERASE, list(people))


async def seal_reasons(service: Service, unit: UnitOfWork, at_once: int) -> int:
    """Seals reasons that an older version left in the clear; how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR, at_once)
    if rows:
        sealed = await unit.personal_data.seal(unit, [(_place_of(row), row["reason"]) for row in rows])
        await unit.execute(_SEAL, [row["kind"] for row in rows], [row["entity_id"] for row in rows], sealed)
    return len(rows)


def _place_of(row: Row) -> Place:
    return _place(row["kind"], str(row["entity_id"]), row["member_id"])


def _place(kind: Kind, entity_id: str, member_id: str) -> Place:
    return Place("support_reasons", f"{kind}/{entity_id}", member_id)
