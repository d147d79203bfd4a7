"""Waiting for a time: the first in line gets an offer when a slot opens, held for a while (AVAIL-6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_testkit.platform import Cast, Platform


async def one_slot_a_day(platform: Platform) -> Cast:
    """A provider with a single slot a day, taken by the cast's member in four days."""
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return await platform.cast(
        schedule={"weekly": [{"day": day, "from": "12:00", "to": "12:30"} for day in days], "slot_step_minutes": 30}
    )


async def book_noon(cast: Cast) -> dict[str, Any]:
    day = (await cast.platform.now()) + timedelta(days=4)
    noon = day.replace(hour=12, minute=0, second=0, microsecond=0)
    session = await cast.member.post("/v1/sessions", cast.wish(noon), wait=15)
    return dict(session.body)


async def wait_for(cast: Cast, session: dict[str, Any]) -> dict[str, Any]:
    """The cast's member waits for a time on the day of that session."""
    noon = datetime.fromisoformat(session["starts_at"])
    body = {
        "from": (noon - timedelta(hours=6)).isoformat(),
        "to": (noon + timedelta(hours=6)).isoformat(),
        "length_minutes": cast.length,
        "modality": cast.modality,
    }
    return dict((await cast.member.post(f"/v1/rooms/{cast.room_id}/waitlist", body)).body)


async def entry(cast: Cast) -> dict[str, Any]:
    (found,) = (await cast.member.get(f"/v1/rooms/{cast.room_id}/waitlist"))["items"]
    return dict(found)


@pytest.mark.rule("AVAIL-6")
async def test_the_first_in_line_gets_what_opens_and_books_it(platform: Platform) -> None:
    taker = await one_slot_a_day(platform)
    session = await book_noon(taker)
    first, second = [await platform.cast(provider=taker.provider) for _ in range(2)]
    assert [(await wait_for(cast, session))["position"] for cast in (first, second)] == [1, 2]
    await taker.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    offered = await first.eventually(lambda: entry(first), lambda seen: seen["status"] == "offered")
    assert offered["offer"]["starts_at"] == session["starts_at"]
    assert (await entry(second))["status"] == "waiting"
    # Held for the first alone: nobody else is offered it, and nobody else can book it.
    wish = second.wish(datetime.fromisoformat(session["starts_at"]))
    answer = await second.member.send("POST", "/v1/sessions", wish, key="jumping-the-queue", wait=15)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/slot-taken")
    mine = first.wish(datetime.fromisoformat(session["starts_at"]))
    booked = await first.member.post("/v1/sessions", mine, wait=15)
    assert booked["status"] == "reserved"
    await first.eventually(lambda: entry(first), lambda seen: seen["status"] == "booked")


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_that_is_not_taken_passes_on(platform: Platform) -> None:
    taker = await one_slot_a_day(platform)
    session = await book_noon(taker)
    first, second = [await platform.cast(provider=taker.provider) for _ in range(2)]
    for cast in (first, second):
        await wait_for(cast, session)
    await taker.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    offered = await first.eventually(lambda: entry(first), lambda seen: seen["status"] == "offered")
    lapses = datetime.fromisoformat(offered["offer"]["lapses_at"])
    assert timedelta(minutes=119) < lapses - await platform.now() <= timedelta(minutes=120)
    await platform.advance_to(lapses)
    await second.eventually(lambda: entry(second), lambda seen: seen["status"] == "offered")
    await first.eventually(lambda: entry(first), lambda seen: seen["status"] in ("lapsed", "waiting"))
    mine = second.wish(datetime.fromisoformat(session["starts_at"]))
    assert (await second.member.post("/v1/sessions", mine, wait=15))["status"] == "reserved"


@pytest.mark.rule("AVAIL-6")
async def test_whoever_leaves_the_line_gives_their_offer_on(platform: Platform) -> None:
    taker = await one_slot_a_day(platform)
    session = await book_noon(taker)
    first, second = [await platform.cast(provider=taker.provider) for _ in range(2)]
    for cast in (first, second):
        await wait_for(cast, session)
    await taker.member.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    offered = await first.eventually(lambda: entry(first), lambda seen: seen["status"] == "offered")
    await first.member.delete(f"/v1/rooms/{first.room_id}/waitlist/{offered['id']}")
    await second.eventually(lambda: entry(second), lambda seen: seen["status"] == "offered")
