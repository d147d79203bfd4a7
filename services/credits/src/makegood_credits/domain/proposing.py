"""One support agent proposes an adjustment over the policy's limit, and another one decides it (CRED-5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

ProposalStatus = Literal["proposed", "approved", "rejected"]
Decision = Literal["approved", "rejected"]
DecisionRefusal = Literal["conflict-of-interest", "already-decided"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed adjustment. `amount` is negative if it takes credits away. `length_minutes` None: for every length of
    the plan.
    """

    id: str
    member_id: str
    amount: int
    length_minutes: int | None
    reason: str
    proposed_by: str
    proposed_at: datetime
    status: ProposalStatus = "proposed"
    decided_by: str | None = None
    decided_at: datetime | None = None


def decide(proposal: Proposal, decision: Decision, by: str, now: datetime) -> Proposal | DecisionRefusal:
    """Proposers may reject their own proposal, which withdraws it, but not approve it. The member may do neither."""
    if by == proposal.member_id or (decision == "approved" and by == proposal.proposed_by):
        return "conflict-of-interest"
    if proposal.status != "proposed":
        return proposal if (proposal.status, proposal.decided_by) == (decision, by) else "already-decided"
    return replace(proposal, status=decision, decided_by=by, decided_at=now)
