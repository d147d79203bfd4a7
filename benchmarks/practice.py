"""A small practice with a history, made through the API: what a member's app shows after some weeks of therapy.

Three providers with four members each. Every member has been to eight sessions and has twelve ahead, with the ledger, messages, chat and
deliveries that follow from them. The last two are booked, but not confirmed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from makegood_testkit.platform import Cast, Platform

PROVIDERS: Final = 3
HOURS: Final = (14, 15, 19, 20)
"""In UTC; each member of a provider comes at one of them, within the hours below in summer and winter."""
ATTENDED: Final = 8
AHEAD: Final = 12
UNCONFIRMED: Final = 2
LENGTH: Final = 45
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday")
SCHEDULE: Final[dict[str, Any]] = {
    "time_zone": "America/New_York",
    "weekly": [
        {"day": day, "from": start, "to": end}
        for day in _WEEKDAYS
        for start, end in (("09:00", "12:30"), ("13:30", "18:00"))
    ],
    "buffer_after_minutes": 10,
    "minimum_notice_minutes": 120,
    "horizon_days": 90,
    "slot_step_minutes": 15,
    "specialty": "therapy",
    "session_types": [{"length_minutes": LENGTH, "modalities": ["video", "audio"]}],
}
_SAID: Final = (
    "Thank you, see you next week.",
    "I have kept the diary that we talked about and would like to go through it with you next time.",
    "Could you send me the exercise again? I can't find the sheet.",
)


@dataclass(frozen=True)
class Practice:
    """The practice as it stands, with one member to look at."""

    cast: Cast
    attended: str
    """A session that took place."""
    reserved: str
    """A session ahead, not yet confirmed."""
    busy_day: datetime
    """A midnight before a day with a session of each of the provider's members."""


async def make(platform: Platform) -> Practice:
    """Makes the practice on a platform that runs. Takes about a minute, for the clock moves to each session."""
    groups = [await _group(platform) for _ in range(PROVIDERS)]
    days = _working_days(await platform.now())
    booked: dict[str, list[dict[str, Any]]] = {}

    async def fill(cast: Cast, hour: int) -> None:
        await _grant(cast)
        starts = [day + timedelta(hours=hour) for day in days]
        booked[cast.room_id] = [await _book(cast, start) for start in starts]
        for session in booked[cast.room_id][:-UNCONFIRMED]:
            await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
        for number in range(3 * ATTENDED):
            writer = cast.member if number % 2 else cast.provider
            await writer.post(f"/v1/rooms/{cast.room_id}/messages", {"text": _SAID[number % len(_SAID)]})

    for group in groups:
        await asyncio.gather(*(fill(cast, hour) for cast, hour in zip(group, HOURS, strict=True)))
    for number, day in enumerate(days[:ATTENDED]):
        for place, hour in enumerate(HOURS):
            await platform.advance_to(day + timedelta(hours=hour, minutes=-1))
            await asyncio.gather(
                *(
                    person.post(f"/v1/sessions/{booked[group[place].room_id][number]['id']}/join")
                    for group in groups
                    for person in (group[place].member, group[place].provider)
                )
            )
    await platform.advance(timedelta(hours=2))
    await platform.settle()
    cast = groups[-1][-1]
    sessions = booked[cast.room_id]
    return Practice(cast, sessions[ATTENDED - 1]["id"], sessions[-1]["id"], days[ATTENDED + 2])


async def _group(platform: Platform) -> list[Cast]:
    """The members of one provider."""
    options: dict[str, Any] = {"plan": "sponsored-12", "length": LENGTH, "schedule": SCHEDULE}
    first = await Cast.assemble(platform, **options, zone="America/New_York")
    others = [await Cast.assemble(platform, **options, provider=first.provider) for _ in HOURS[1:]]
    return [*others, first]


async def _grant(cast: Cast) -> None:
    """Four credits more than there are sessions: the plan has twelve."""
    for agent in ("support-1", "support-2"):
        support = cast.platform.person("support", agent)
        body = {"amount": (ATTENDED + AHEAD + 4 - 12) // 2, "reason": "The employer added sessions."}
        await support.post(f"/v1/members/{cast.member.subject}/adjustments", body)


async def _book(cast: Cast, start: datetime) -> dict[str, Any]:
    return dict((await cast.member.post("/v1/sessions", cast.booking_body(start), wait=15)).body)


def _working_days(now: datetime) -> list[datetime]:
    """The midnights before the days of the sessions, from three days ahead on."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = (midnight + timedelta(days=number) for number in range(3, 60))
    return [day for day in days if day.weekday() < len(_WEEKDAYS)][: ATTENDED + AHEAD]
