"""`booking.policies.v1`: the numbers of the cancellation and attendance policy."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Classification, Event
from makegood_contracts.topics import POLICIES, Topic


class PolicyChanged(Event, frozen=True, kw_only=True):
    """A new policy version applies from now on. Sessions that are already booked keep their version.

    Version 1 is never published: it consists of the product's defaults, the same in every installation.
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
