"""Waiting for a time, and time off with sessions in it (AVAIL)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import WHAT, Cast


def _wish(cast: Cast, start: datetime) -> dict[str, Any]:
    """To wait for just this start."""
    return {
        "from": start.isoformat(),
        "to": (start + timedelta(minutes=1)).isoformat(),
        "length_minutes": cast.length,
        "modality": cast.modality,
    }


async def _join(cast: Cast, start: datetime) -> dict[str, Any]:
    """An entry, once availability has heard of the room."""

    async def join() -> dict[str, Any] | None:
        try:
            return dict((await cast.member.post(f"/v1/rooms/{cast.room_id}/waitlist", _wish(cast, start))).body)
        except Refused as refusal:
            if refusal.slug != "not-found":
                raise
            return None

    entry: dict[str, Any] = await cast.eventually(join, lambda found: found is not None)
    return entry


async def _entry(cast: Cast, status: str) -> dict[str, Any]:
    """The room's one entry, once it has this status."""

    async def look() -> dict[str, Any]:
        (entry,) = (await cast.member.get(f"/v1/rooms/{cast.room_id}/waitlist"))["items"]
        return dict(entry)

    return dict(await cast.eventually(look, lambda entry: entry["status"] == status))


@pytest.mark.rule("AVAIL-6")
async def test_the_first_in_line_gets_the_slot_that_opens_and_accepts_it_by_booking(cast: Cast) -> None:
    session = await cast.confirmed()
    start = datetime.fromisoformat(session["starts_at"])
    first = await cast.platform.cast(provider=cast.provider)
    second = await cast.platform.cast(provider=cast.provider)
    assert (await _join(first, start))["status"] == "waiting"
    assert (await _join(second, start))["position"] == 2
    async with first.ticker() as ticker:
        await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
        await ticker.until("WaitlistOffered")
    offer = (await _entry(first, "offered"))["offer"]
    assert datetime.fromisoformat(offer["starts_at"]) == start
    assert (await _entry(second, "waiting"))["position"] == 2
    with pytest.raises(Refused) as refusal:
        await second.member.post("/v1/sessions", second.booking_body(start), wait=15)
    assert refusal.value.slug == "slot-taken"
    booked = await first.member.post("/v1/sessions", first.booking_body(start), wait=15)
    assert booked["status"] == "reserved"
    assert (await _entry(first, "booked"))["position"] is None


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_that_nobody_takes_passes_on_after_two_hours(cast: Cast) -> None:
    session = await cast.confirmed()
    start = datetime.fromisoformat(session["starts_at"])
    other = await cast.platform.cast(provider=cast.provider)
    await _join(cast, start)
    await _join(other, start)
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    await _entry(cast, "offered")
    await cast.platform.advance(timedelta(hours=2, seconds=1))
    await _entry(cast, "lapsed")
    await _entry(other, "offered")


@pytest.mark.rule("AVAIL-6", "BOOK-1")
async def test_a_booking_that_credits_refuse_leaves_the_offer_as_it_was(cast: Cast) -> None:
    poor = await cast.platform.cast(provider=cast.provider)
    await _join(poor, await cast.start_in(timedelta(days=5)))
    entry = await _entry(poor, "offered")  # something is free, so it is offered right away
    taken = {"amount": -4, "reason": "for the story"}
    await poor.support.post(f"/v1/members/{poor.member.subject}/adjustments", taken)
    with pytest.raises(Refused):
        await poor.member.post(
            "/v1/sessions", poor.booking_body(datetime.fromisoformat(entry["offer"]["starts_at"])), wait=15
        )
    assert await _entry(poor, "offered") == entry


@pytest.mark.rule("AVAIL-6", "BOOK-8")
async def test_the_first_in_line_who_could_book_gets_the_offer_and_who_could_not_is_told_why_and_keeps_the_place(
    cast: Cast,
) -> None:
    session = await cast.confirmed()
    start = datetime.fromisoformat(session["starts_at"])
    ended = await cast.platform.cast(provider=cast.provider, ends_in=timedelta(days=1))
    able = await cast.platform.cast(provider=cast.provider)
    await _join(ended, start)
    await _join(able, start)
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    offer = (await _entry(able, "offered"))["offer"]
    entry = await _entry(ended, "waiting")
    assert entry["position"] == 1
    path = f"/v1/rooms/{ended.room_id}/bookability"
    body = {name: value for name, value in ended.booking_body(start).items() if name in ("starts_at", "length_minutes")}
    asked = (await ended.member.get(path, **body))["reasons"]
    told = {reason["code"]: (reason["detail"], reason["remedy"]) for reason in entry["reasons"]}
    assert told.keys() == {"coverage-ended"}
    assert told["coverage-ended"] in [(reason["detail"], reason["remedy"]) for reason in asked]

    async def mails() -> set[str]:
        deliveries = (await ended.member.get("/v1/deliveries", person_id=ended.member.subject))["items"]
        return {one["template"] for one in deliveries}

    await cast.eventually(mails, lambda seen: "waitlist-passed-over" in seen)
    assert "waitlist-offered" not in await mails()
    booked = await able.member.post(
        "/v1/sessions", able.booking_body(datetime.fromisoformat(offer["starts_at"])), wait=15
    )
    assert booked["status"] == "reserved"


@pytest.mark.rule("AVAIL-1", "CANC-2")
async def test_a_provider_is_told_of_sessions_in_time_off_and_cancelling_them_costs_the_member_nothing(
    cast: Cast,
) -> None:
    session = await cast.confirmed(timedelta(hours=30))
    start = datetime.fromisoformat(session["starts_at"])
    path = f"/v1/providers/{cast.provider.subject}/time-off"
    off = {
        "starts_at": (start - timedelta(hours=2)).isoformat(),
        "ends_at": (start + timedelta(hours=2)).isoformat(),
        "note": WHAT,
    }
    with pytest.raises(Refused) as refusal:
        await cast.provider.post(path, off)
    assert refusal.value.slug == "sessions-in-time-off"
    assert [inside["session_id"] for inside in refusal.value.problem["sessions"]] == [session["id"]]
    assert (await cast.session(session))["status"] == "confirmed"
    await cast.provider.post(path, {**off, "sessions": "cancel"})
    await cast.settled(session, "cancelled", "returned")
    assert (await cast.credits())["available"] == 4
    with pytest.raises(Refused) as closed:
        await cast.member.post("/v1/sessions", cast.booking_body(start), wait=15)
    assert closed.value.slug == "slot-not-offered"


@pytest.mark.rule("AVAIL-6")
async def test_whoever_leaves_the_line_gives_their_offer_on(cast: Cast) -> None:
    session = await cast.confirmed()
    start = datetime.fromisoformat(session["starts_at"])
    first, second = [await cast.platform.cast(provider=cast.provider) for _ in range(2)]
    for member in (first, second):
        await _join(member, start)
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    offered = await _entry(first, "offered")
    await first.member.delete(f"/v1/rooms/{first.room_id}/waitlist/{offered['id']}")
    await _entry(second, "offered")
