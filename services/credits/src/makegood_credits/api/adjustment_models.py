"""Request and response bodies of adjustments and proposals."""

from __future__ import annotations

from typing import Annotated, Self

from makegood_chassis.http.models import Instant, RequestModel, View, Whole, example
from pydantic import Field, StringConstraints, model_validator

from makegood_credits.api.models import MOVEMENT, LedgerItem, ReasonText
from makegood_credits.domain.proposing import ProposalStatus


class AdjustmentBody(RequestModel):
    """The credits to give (or, if negative, to take). With `session_id`, returns the credit of that session, at most once."""

    model_config = example(amount=1, reason="Goodwill after an outage")

    amount: Annotated[Whole, Field(ge=-100_000, le=100_000)]
    session_id: Annotated[str, StringConstraints(max_length=64)] | None = None
    length_minutes: Annotated[Whole, Field(ge=1, le=1440)] | None = None
    reason: ReasonText

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.amount == 0:
            raise ValueError("amount must not be 0")
        if self.session_id is not None and self.amount != 1:
            raise ValueError("with session_id, amount must be 1: a session costs one credit")
        return self


class AdjustmentView(View):
    """The balances after the adjustment, as in `GET …/credits`, and its ledger entries."""

    model_config = example(available=4, held=1, entries=[MOVEMENT], unusable=0)

    available: int
    held: int
    entries: list[LedgerItem]
    unusable: int = 0


class ProposalView(View):
    """An adjustment over the policy's limit. It changes nothing until a second person from support approves it."""

    model_config = example(
        id="019ab0c9-7a11-7c52-9b1d-3e5f2c4d6a70",
        member_id="anna",
        amount=25,
        length_minutes=None,
        reason="Goodwill after an outage",
        status="proposed",
        proposed_by="support-7",
        proposed_at="2026-11-23T09:00:00Z",
        decided_by=None,
        decided_at=None,
    )

    id: str
    member_id: str
    amount: int
    length_minutes: int | None
    reason: str
    status: ProposalStatus
    proposed_by: str
    proposed_at: Instant
    decided_by: str | None
    decided_at: Instant | None
