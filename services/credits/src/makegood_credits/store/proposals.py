"""Adjustments that wait for a second person, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row, UnitOfWork

from makegood_credits.domain.proposing import Proposal, ProposalStatus
from makegood_credits.store.personal_data import BY_HAND, keep_reason, read_reasons

_COLUMNS: Final = """id::text, member_id, amount, length_minutes, reason, proposed_by, proposed_at, status, decided_by,
    decided_at, number"""
_INSERT = """
INSERT INTO adjustment_proposals (id, member_id, amount, length_minutes, reason, proposed_by, proposed_at, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'proposed')
"""
_ONE = f"SELECT {_COLUMNS} FROM adjustment_proposals WHERE member_id = $1 AND id = $2"  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM adjustment_proposals
WHERE ($1::text IS NULL OR member_id = $1) AND ($2::text IS NULL OR status = $2) AND number < $3
ORDER BY number DESC LIMIT $4
"""  # noqa: S608
_GIVEN = """
SELECT coalesce(sum(amount), 0)::int FROM ledger_entries
WHERE member_id = $1 AND kind = 'adjust' AND made_by = $2 AND made_at > $3
    AND debit_account = 'platform:adjusted' AND hold_id IS NULL
"""
_NEWEST: Final = 2**63 - 1


async def insert(unit: UnitOfWork, proposal: Proposal) -> None:
    """Keeps a new proposal."""
    await unit.execute(
        _INSERT,
        proposal.id,
        proposal.member_id,
        proposal.amount,
        proposal.length_minutes,
        BY_HAND,
        proposal.proposed_by,
        proposal.proposed_at,
    )
    await keep_reason(unit, "proposal", proposal.member_id, [proposal.id], proposal.reason)


async def one(queries: Queries, member: str, proposal_id: str, *, lock: bool = False) -> Proposal | None:
    """The member's proposal; locked if asked for."""
    row = await queries.fetch_one(_ONE + (" FOR UPDATE" if lock else ""), member, proposal_id)
    return None if row is None else (await _proposals(queries, [row]))[0][1]


async def listed(
    queries: Queries, member: str | None, status: ProposalStatus | None, before: int | None, most: int
) -> list[tuple[int, Proposal]]:
    """Each with its number, newest first, from below the number `before`; of everybody where no member is named."""
    rows = await queries.fetch(_LIST, member, status, _NEWEST if before is None else before, most)
    return await _proposals(queries, rows)


async def _proposals(queries: Queries, rows: Sequence[Row]) -> list[tuple[int, Proposal]]:
    reasons = await read_reasons(queries, "proposal", [row["id"] for row in rows])
    proposals = [Proposal(*tuple(row)[:-1]) for row in rows]
    return [
        (row["number"], replace(one, reason=reasons.get(one.id, one.reason)))
        for row, one in zip(rows, proposals, strict=True)
    ]


async def decide(unit: UnitOfWork, proposal: Proposal) -> None:
    """Writes what became of a proposal that is locked."""
    await unit.execute(
        "UPDATE adjustment_proposals SET status = $2, decided_by = $3, decided_at = $4 WHERE id = $1",
        proposal.id,
        proposal.status,
        proposal.decided_by,
        proposal.decided_at,
    )


async def given_since(queries: Queries, member: str, made_by: str, since: datetime) -> int:
    """Credits that this person has given the member by adjustments since then."""
    given: int = await queries.fetch_value(_GIVEN, member, made_by, since)
    return given
