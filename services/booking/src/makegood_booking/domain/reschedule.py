"""A change of a session's time that others have to agree to: a move (RESC-1) or an extension (EXT-1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from makegood_contracts.events import InvoiceWish, Party, Specialty
from makegood_contracts.reasons import Reason
from makegood_plans.plans import Money

RescheduleState = Literal["asked", "funded", "refused"]
"""`asked`: credits is to answer. `funded`: availability is to answer, and alone decides. `refused`: it is off."""


@dataclass(frozen=True, slots=True)
class Reschedule:
    """One change of time. A session has at most one, and none once it is carried out: then the session has the new
    times."""

    id: str
    kind: Literal["move", "extension"]
    state: RescheduleState
    by: Party
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    time_zone: str
    venue_id: str | None
    decide_by: datetime
    forfeits: bool = False
    caused_by_provider: bool = False
    """Whether the member moves the session for what the provider did (RESC-3, EXT-1)."""
    notify_member: bool = True
    specialty: Specialty = "therapy"
    invoice: InvoiceWish | None = None
    added: Literal["credit", "co_pay"] | None = None
    """What is held beside the session's own hold, to take its place when the move is made."""
    co_pay: Money | None = None
    """How much that is, where it is a co-pay."""
    reasons: tuple[Reason, ...] = ()
    purchasable: bool | None = None

    @property
    def pending(self) -> bool:
        return self.state != "refused"
