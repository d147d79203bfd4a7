"""`credits.enrolments.v1`: members' plans and coverage."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.events.sessions import Modality
from makegood_contracts.topics import ENROLMENTS, Topic

PlanKind = Literal["out_of_pocket", "eap", "health_insurance", "sponsored"]


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


class MemberEnrolled(Event, frozen=True, kw_only=True):
    """The member's coverage from `starts_on` to `ends_on`, both inclusive, in days of `time_zone` (PLAN-1)."""

    topic: ClassVar[Topic] = ENROLMENTS

    enrolment_id: str
    member_id: str
    plan_id: str
    plan_kind: PlanKind
    starts_on: date
    ends_on: date | None
    time_zone: str
    lengths: list[int]
    psychiatry_lengths: list[int]
    modalities: list[Modality]
    live_credits: int | None
    """Credits per period; None where the plan asks for a co-pay instead."""
    purchasable: bool
    period_months: int | None = None
    """Months of a billing period: `live_credits` come anew at the start of each, counted from `starts_on`; a day that its month
    lacks becomes the month's last. None: they come once, at the start."""
    reminder_channels: tuple[Literal["email", "whatsapp"], ...] = ("email",)
    """How the provider may remind the member by hand on this plan (REM-1)."""
    co_pay: Price | None = None
    """What a session costs where the plan asks for a co-pay (BOOK-3)."""


class EnrolmentEnded(Event, frozen=True, kw_only=True):
    """A later enrolment took the place of this one, or its member was erased."""

    topic: ClassVar[Topic] = ENROLMENTS

    enrolment_id: str
    member_id: str
    plan_id: str
    ended_on: date
