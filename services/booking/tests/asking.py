"""A provider who works, plans, and bookings as tests ask for them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from makegood_contracts.events import SessionType, WeeklyHours
from makegood_contracts.ids import new_id

from .news import enrolled, granted, hear, schedule, told
from .world import Json, World

DAY = timedelta(days=1)
ALWAYS = tuple(WeeklyHours(weekday=day, start=0, until=1440) for day in range(7))


async def working(world: World, **other: Any) -> None:
    kinds = [SessionType(length_minutes=length, modalities=["video"]) for length in (30, 45)]
    await hear(world, told(schedule(weekly=ALWAYS, minimum_notice_minutes=0, session_types=kinds, **other)))


async def eap(world: World, credits: int) -> None:
    plan: Json = {"plan_kind": "eap", "lengths": [45], "live_credits": 6, "purchasable": False}
    await hear(world, told(enrolled(new_id(), "eap-6", date(2026, 11, 1), **plan)))
    if credits:
        await hear(world, told(granted(credits, length_minutes=45)))


async def rebook(world: World, session: Json, starts_at: Any = None, who: Any = None, **other: Any) -> Any:
    wish = world.booking_body(session["room_id"], starts_at or world.clock.moment + DAY, **other)
    return await (who or world.member).post("/v1/sessions", json=wish, headers={"Idempotency-Key": new_id()})


def codes(answer: Any) -> list[str]:
    return [reason["code"] for reason in answer.json()["reasons"]]
