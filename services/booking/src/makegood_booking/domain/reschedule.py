"""A change of a session's time that other services must accept: a move (RESC-1) or an extension (EXT-1)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from makegood_contracts.events import InvoiceWish, Party, Specialty
from makegood_contracts.reasons import Reason
from makegood_contracts.values import Value
from makegood_plans.plans import Money

RescheduleState = Literal["asked", "funded", "refused"]
"""`asked`: credits must answer. `funded`: availability must answer, and decides alone. `refused`: it does not take
place.
"""


class Reschedule(Value, frozen=True):
    """One change of time. A session has at most one. Once it is carried out, the session has the new times and no
    change.
    """

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
    """Whether the member moves the session because of something the provider did (RESC-3, EXT-1)."""
    notify_member: bool = True
    specialty: Specialty = "therapy"
    invoice: InvoiceWish | None = None
    added: Literal["credit", "co_pay"] | None = None
    """What is held in addition to the session's own hold, and replaces it when the move is carried out."""
    co_pay: Money | None = None
    """The amount of that, if it is a co-pay."""
    reasons: tuple[Reason, ...] = ()
    purchasable: bool | None = None

    @property
    def pending(self) -> bool:
        return self.state != "refused"
