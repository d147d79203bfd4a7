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
    """A member is covered by a plan from `starts_on` to `ends_on`, both inclusive, as dates in `time_zone` (PLAN-1)."""

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
    """Credits per billing period; None if the plan takes a co-pay instead."""
    purchasable: bool
    period_months: int | None = None
    """Length of a billing period in months, counted from `starts_on`. `live_credits` are granted at the start of each; in a
    month without that day, on its last day. None: they are granted once, at the start."""
    reminder_channels: tuple[Literal["email", "whatsapp"], ...] = ("email",)
    """Channels by which the provider may send the member a reminder on this plan (REM-1)."""
    co_pay: Price | None = None
    """What a session costs if the plan takes a co-pay (BOOK-3)."""


class EnrolmentEnded(Event, frozen=True, kw_only=True):
    """The enrolment was replaced by a later one, or its member was erased."""

    topic: ClassVar[Topic] = ENROLMENTS

    enrolment_id: str
    member_id: str
    plan_id: str
    ended_on: date
