"""A provider who works, plans, and bookings as tests ask for them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from makegood_contracts.events import SessionType, WeeklyHours
from makegood_contracts.ids import new_id

from .harness import BookingHarness, Json
from .news import enrolled, granted, hear, schedule, told

DAY = timedelta(days=1)
ALWAYS = tuple(WeeklyHours(weekday=day, start=0, until=1440) for day in range(7))


async def working(harness: BookingHarness, **other: Any) -> None:
    kinds = [SessionType(length_minutes=length, modalities=["video"]) for length in (30, 45)]
    await hear(harness, told(schedule(weekly=ALWAYS, minimum_notice_minutes=0, session_types=kinds, **other)))


async def eap(harness: BookingHarness, credits: int) -> None:
    plan: Json = {"plan_kind": "eap", "lengths": [45], "live_credits": 6, "purchasable": False}
    await hear(harness, told(enrolled(new_id(), "eap-6", date(2026, 11, 1), **plan)))
    if credits:
        await hear(harness, told(granted(credits, length_minutes=45)))


async def rebook(harness: BookingHarness, session: Json, starts_at: Any = None, who: Any = None, **other: Any) -> Any:
    body = harness.booking_body(session["room_id"], starts_at or harness.clock.moment + DAY, **other)
    return await (who or harness.member).post("/v1/sessions", json=body, headers={"Idempotency-Key": new_id()})


def codes(answer: Any) -> list[str]:
    return [reason["code"] for reason in answer.json()["reasons"]]
