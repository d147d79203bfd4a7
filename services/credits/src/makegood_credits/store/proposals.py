"""Adjustments that wait for a second person, and their decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement
from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.domain.book import ADJUSTED
from makegood_credits.domain.proposing import Proposal, ProposalStatus
from makegood_credits.store.personal_data import BY_HAND, keep_reason, read_reasons
from makegood_credits.store.tables import adjustment_proposals, texts

_P: Final = adjustment_proposals.c
_NEWEST: Final = 2**63 - 1
"""Above every number."""

_INSERTED: Final = [each for each in _P if each.key not in ("decided_by", "decided_at", "number")]
_INSERT = Statement(insert(adjustment_proposals).values({each.key: bindparam(each.key) for each in _INSERTED}))
_ROWS: Final = select(*texts(_P))
_ONE: Final = _ROWS.where(_P.member_id == bindparam("member"), _P.id == bindparam("proposal"))
_FIND, _LOCK = Statement(_ONE), Statement(_ONE.with_for_update())
_LIST = Statement(
    _ROWS.where(
        text("(CAST(:member AS text) IS NULL OR member_id = :member)"),
        text("(CAST(:status AS text) IS NULL OR status = :status) AND number < :before"),
    )
    .order_by(_P.number.desc())
    .limit(bindparam("most"))
)
_DECIDE = Statement(
    "UPDATE adjustment_proposals SET status = :status, decided_by = :decided_by, decided_at = :decided_at WHERE id = :id"
)
_GIVEN = Statement(f"""
SELECT CAST(coalesce(sum(amount), 0) AS integer) FROM ledger_entries
WHERE member_id = :member AND kind = 'adjust' AND made_by = :by AND made_at > :since
    AND debit_account = '{ADJUSTED.name}' AND hold_id IS NULL
""")  # noqa: S608 (a constant)


async def insert_new(unit: UnitOfWork, proposal: Proposal) -> None:
    """Inserts a proposal."""
    fields = {each.key: getattr(proposal, each.key) for each in _INSERTED}
    await unit.execute(_INSERT(**{**fields, "reason": BY_HAND}))
    await keep_reason(unit, "proposal", proposal.member_id, [proposal.id], proposal.reason)


async def one(queries: Queries, member: str, proposal_id: str, *, lock: bool = False) -> Proposal | None:
    """The member's proposal, locked if requested."""
    row = await queries.fetch_one((_LOCK if lock else _FIND)(member=member, proposal=proposal_id))
    return None if row is None else (await _proposals(queries, [row]))[0][1]


async def listed(
    queries: Queries, member: str | None, status: ProposalStatus | None, before: int | None, most: int
) -> list[tuple[int, Proposal]]:
    """Proposals with their numbers, newest first, below the number `before`: of one member, or of all."""
    before = _NEWEST if before is None else before
    return await _proposals(queries, await queries.fetch(_LIST(member=member, status=status, before=before, most=most)))


async def _proposals(queries: Queries, rows: Sequence[Row]) -> list[tuple[int, Proposal]]:
    reasons = await read_reasons(queries, "proposal", [row["id"] for row in rows])
    proposals = [Proposal(*tuple(row)[:-1]) for row in rows]
    return [
        (row["number"], replace(one, reason=reasons.get(one.id, one.reason)))
        for row, one in zip(rows, proposals, strict=True)
    ]


async def decide(unit: UnitOfWork, proposal: Proposal) -> None:
    """Saves the decision on a locked proposal."""
    fields = {name: getattr(proposal, name) for name in ("id", "status", "decided_by", "decided_at")}
    await unit.execute(_DECIDE(**fields))


async def given_since(queries: Queries, member: str, made_by: str, since: datetime) -> int:
    """The number of credits that this person has given the member by adjustments since then."""
    given: int = await queries.fetch_value(_GIVEN(member=member, by=made_by, since=since))
    return given
