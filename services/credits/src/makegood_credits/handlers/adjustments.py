"""Adjustments by support: at once, or by two people (CRED-5)."""

from __future__ import annotations

from makegood_chassis.database import UnitOfWork
from makegood_contracts.ids import new_id

from makegood_credits.domain.adjusting import DAY, AdjustmentRefusal, adjust, needs_second_person
from makegood_credits.domain.book import Book, LedgerEntry
from makegood_credits.domain.proposing import Decision, DecisionRefusal, Proposal, decide
from makegood_credits.handlers.commands import save_book, with_reason
from makegood_credits.store import policy
from makegood_credits.store import proposals as proposal_store
from makegood_credits.store.personal_data import BY_HAND


async def adjust_or_propose(
    unit: UnitOfWork, book: Book, amount: int, *, length_minutes: int | None, reason: str, made_by: str
) -> list[LedgerEntry] | Proposal | AdjustmentRefusal:
    """Gives or takes credits; more than one person may is kept as a proposal instead."""
    given = await proposal_store.given_since(unit, book.member_id, made_by, unit.now - DAY) if amount > 0 else 0
    if not needs_second_person(amount, given, await policy.adjustment_limit(unit)):
        return await adjust_member(unit, book, amount, length_minutes=length_minutes, reason=reason, made_by=made_by)
    proposal = Proposal(new_id(), book.member_id, amount, length_minutes, reason, made_by, unit.now)
    await proposal_store.insert(unit, proposal)
    return proposal


async def adjust_member(
    unit: UnitOfWork, book: Book, amount: int, *, length_minutes: int | None, reason: str, made_by: str
) -> list[LedgerEntry] | AdjustmentRefusal:
    """Gives or takes credits; a refusal changes nothing."""
    due_before = book.next_due
    entries = adjust(book, amount, length_minutes=length_minutes, reason=BY_HAND, made_by=made_by, now=unit.now)
    if isinstance(entries, str):
        return entries
    await save_book(unit, book, due_before)
    return await with_reason(unit, book, entries, reason)


async def decide_proposal(
    unit: UnitOfWork, book: Book, proposal_id: str, decision: Decision, by: str
) -> Proposal | DecisionRefusal | AdjustmentRefusal | None:
    """Approves or rejects; an approval gives or takes the credits with the same commit. None: the member has no such proposal.

    The ledger's entries name who proposed it; who approved it stands in the proposal.
    """
    before = await proposal_store.one(unit, book.member_id, proposal_id, lock=True)
    if before is None:
        return None
    decided = decide(before, decision, by, unit.now)
    if isinstance(decided, str) or decided is before:
        return decided
    if decision == "approved":
        entries = await adjust_member(
            unit,
            book,
            before.amount,
            length_minutes=before.length_minutes,
            reason=before.reason,
            made_by=before.proposed_by,
        )
        if isinstance(entries, str):
            return entries
    await proposal_store.decide(unit, decided)
    return decided
