"""The pieces of work whose costs are counted, by the tests that limit them and by the benchmarks."""

from __future__ import annotations

from datetime import datetime, timedelta

from makegood_testkit.chaos import drained
from makegood_testkit.costs import Costs, Meter
from makegood_testkit.platform import Platform

BOOKINGS = 20
MISSED = 20
_CREDITS = 4
"""The credits of each member of a cast."""


async def warm_up(platform: Platform) -> None:
    """One booking and its confirmation, so that every consumer is running and the usual statements are prepared."""
    cast = await platform.cast()
    await cast.confirmed(timedelta(days=20))
    await drained(platform)


async def missed_together(platform: Platform, meter: Meter) -> Costs:
    """`MISSED` sessions whose providers stay away, all at the same moment: from the deadline to credit, slot, chat and
    e-mails.
    """
    casts = [await platform.cast() for _ in range(MISSED)]
    sessions = [await cast.confirmed() for cast in casts]
    await drained(platform)
    start = max(datetime.fromisoformat(session["starts_at"]) for session in sessions)
    async with meter.counting() as costs:
        await platform.advance_to(start + timedelta(minutes=15))
        for cast, session in zip(casts, sessions, strict=True):
            await cast.settled(session, "provider_missed", "returned")
        await drained(platform)
    return costs


async def booked_one_by_one(platform: Platform, meter: Meter) -> Costs:
    """`BOOKINGS` bookings, each from the request to `reserved` before the next one, so that no batch makes them
    cheaper.
    """
    casts = [await platform.cast() for _ in range(BOOKINGS // _CREDITS)]
    await drained(platform)
    async with meter.counting() as costs:
        for cast in casts:
            for days in range(_CREDITS):
                await cast.book(timedelta(days=4 + days))
        await drained(platform)
    return costs
