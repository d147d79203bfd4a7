"""`booking.policies.v1`: the cancellation and attendance policy, for those who need its numbers."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Classification, Event
from makegood_contracts.topics import POLICIES, Topic


class PolicyChanged(Event, frozen=True, kw_only=True):
    """A new version is in force for what begins from now on; sessions that are booked keep theirs (BOOK-3).

    The first version is nowhere told: it is the product's defaults, the same in every installation.
    """

    topic: ClassVar[Topic] = POLICIES
    classification: ClassVar[Classification] = "internal"

    scope: Literal["platform"] = "platform"
    policy_id: str
    policy_version: int
    in_force_from: datetime
    notice_hours: int
    confirm_hours: int
    join_minutes: int
    grace_minutes: int
    no_show_minutes: int
    cooling_off_minutes: int = 15
    together_minutes: int = 5
    inactivity_days: int
    offer_minutes: int
    adjustment_limit: int = 10
    co_pay_due_days: int = 14
