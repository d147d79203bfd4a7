"""What other services tell of plans, credits and schedules, for tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditGranted,
    Event,
    InvoiceOverdue,
    MemberEnrolled,
    SchedulePublished,
    SessionType,
    WeeklyHours,
)
from makegood_contracts.ids import new_id
from makegood_testkit.service import CAUSE

from .harness import BookingHarness, Json

Told = Received[Any]


def told(event: Event, sequence: int = 1) -> Told:
    return Received(event, new_id(), event.key, sequence, datetime.now(UTC), "story", "test")


async def hear(harness: BookingHarness, *news: Told) -> None:
    """Each event in a transaction of its own, as it comes."""
    for one in news:
        async with harness.service.database.transaction(CAUSE) as unit:
            await harness.service.events[type(one.event)]([one], unit)


def movement(lot: str, amount: int = 1, **other: Any) -> Json:
    return {
        "entry_id": new_id(),
        "member_id": "anna",
        "lot_id": lot,
        "amount": amount,
        "available_after": 0,
        "held_after": 0,
        **other,
    }


def enrolled(enrolment: str, plan: str, starts_on: date, ends_on: date | None = None, **other: Any) -> MemberEnrolled:
    values: Json = {
        "member_id": "anna",
        "plan_kind": "health_insurance",
        "time_zone": "Europe/Berlin",
        "lengths": [45, 60],
        "psychiatry_lengths": [30, 60],
        "modalities": ["video"],
        "live_credits": 8,
        "purchasable": False,
        **other,
    }
    return MemberEnrolled(enrolment_id=enrolment, plan_id=plan, starts_on=starts_on, ends_on=ends_on, **values)


def schedule(version: int = 1, **other: Any) -> SchedulePublished:
    values: Json = {
        "provider_id": "dr-lee",
        "time_zone": "Europe/Berlin",
        "specialty": "therapy",
        "session_types": [SessionType(length_minutes=30, modalities=["video"])],
        "minimum_notice_minutes": 60,
        "horizon_days": 60,
        "weekly": (WeeklyHours(weekday=0, start=540, until=1020),),
        **other,
    }
    return SchedulePublished(schedule_version=version, **values)


def granted(amount: int = 4, **other: Any) -> CreditGranted:
    """Credits of a lot of their own."""
    values: Json = {"source": "plan", "length_minutes": 30, "expires_at": None, **other}
    return CreditGranted(**movement(new_id(), amount), **values)


def overdue() -> InvoiceOverdue:
    return InvoiceOverdue(
        invoice_id=new_id(), member_id="anna", amount_minor=2500, currency="USD", due_on=date(2026, 11, 1)
    )
