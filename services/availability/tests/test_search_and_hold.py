"""What a search offers can be booked, and what can be booked it offers (AVAIL-2), over HTTP and through the handlers."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from makegood_availability.store.bodies import DAYS
from makegood_calendar.hours import Hours
from makegood_calendar.published import schedule_of
from makegood_calendar.slot_rules import Schedule
from makegood_contracts.events import (
    RoomOpened,
    SchedulePublished,
    SessionCancelled,
    SessionRejected,
    SlotHeld,
    TimeOffAdded,
)
from makegood_contracts.ids import new_id
from makegood_testkit.schedules import CLOCK_CHANGES, make_schedule, make_venue
from makegood_testkit.service import CAUSE

from .harness import MINUTE, NOW, AvailabilityHarness, at, body, codes, later, request

Client = Callable[[str, str], httpx.AsyncClient]
LENGTH = 45
ROOM = "01a00000-0000-7000-8000-000000000001"


def _text(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _weekly(hours: Hours) -> list[dict[str, str]]:
    return [
        {"day": DAYS[number], "from": _text(opens), "to": _text(closes)}
        for number, day in enumerate(hours.weekly)
        for opens, closes in day
    ]


def as_body(schedule: Schedule) -> dict[str, Any]:
    """The schedule as a provider would send it."""
    return body(
        time_zone=schedule.hours.zone.key,
        weekly=_weekly(schedule.hours),
        exceptions=[
            {"date": day.isoformat(), "hours": [{"from": _text(a), "to": _text(b)} for a, b in ranges]}
            for day, ranges in schedule.hours.exceptions.items()
        ],
        buffer_before_minutes=schedule.buffer_before // MINUTE,
        buffer_after_minutes=schedule.buffer_after // MINUTE,
        minimum_notice_minutes=schedule.minimum_notice // MINUTE,
        horizon_days=schedule.horizon.days,
        slot_step_minutes=schedule.step // MINUTE,
        session_types=[
            {"length_minutes": length, "modalities": sorted(modalities)}
            for length, modalities in schedule.lengths.items()
        ],
    )


@pytest.mark.rule("AVAIL-2", "AVAIL-1", "BOOK-2")
@pytest.mark.parametrize("seed", range(len(CLOCK_CHANGES)), ids=lambda seed: f"{seed}-{CLOCK_CHANGES[seed][0]}")
async def test_a_slot_can_be_held_if_and_only_if_it_is_offered(
    harness: AvailabilityHarness, client: Client, seed: int
) -> None:
    rng = random.Random(seed)
    schedule, middle = make_schedule(rng, CLOCK_CHANGES[seed])
    venue = make_venue(rng, middle) if seed % 3 == 0 else None
    begin = datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - timedelta(hours=14)
    harness.clock.moment = begin - timedelta(hours=rng.choice([0, 3, 30]), seconds=rng.randrange(3600))
    provider, member = client("provider", "doc"), client("member", "anna")
    published = await provider.put("/v1/providers/doc/schedule", json=as_body(schedule))
    assert published.status_code == 201, published.text
    venue_id = None
    if venue is not None:
        hours = None if venue.hours is None else _weekly(venue.hours)
        zone = "UTC" if venue.hours is None else venue.hours.zone.key
        made = await client("ops", "olga").post("/v1/venues", json={"name": "Room", "time_zone": zone, "weekly": hours})
        venue_id = made.json()["id"]
    off = begin + timedelta(hours=rng.randrange(30))
    await provider.post(
        "/v1/providers/doc/time-off",
        json={"starts_at": off.isoformat(), "ends_at": (off + timedelta(hours=2)).isoformat()},
    )
    query = {"length_minutes": LENGTH, "modality": "in_person" if venue else "video", "limit": 200}
    if venue_id:
        query["venue_id"] = venue_id
    until = harness.clock.moment + 15 * MINUTE

    async def offered(person: httpx.AsyncClient = member) -> set[datetime]:
        answer = await person.get(
            "/v1/providers/doc/slots",
            params={**query, "from": begin.isoformat(), "to": (begin + timedelta(hours=36)).isoformat()},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["next_cursor"] is None or len(answer.json()["items"]) == 200
        return {datetime.fromisoformat(item["starts_at"]) for item in answer.json()["items"]}

    # A day of the provider's is half full; one session is another provider's with the member who searches.
    for start in rng.sample(sorted(await offered()), k=min(4, len(await offered()))):
        await harness.ask(request(start, LENGTH, member="else", venue_id=venue_id, hold_until=until))
    await harness.publish("other", weekly=[{"day": day, "from": "00:00", "to": "24:00"} for day in DAYS])
    elsewhere = harness.clock.moment.replace(minute=0, second=0) + timedelta(hours=rng.randrange(20, 40))
    (busy,) = await harness.ask(request(elsewhere, 60, provider="other", hold_until=until))
    assert isinstance(busy, SlotHeld)

    # Somebody who waited for a time has an offer.
    waiter, until_when = client("member", "walt"), begin + timedelta(hours=36)
    await harness.receive(
        RoomOpened(room_id=ROOM, member_id="walt", provider_id="doc", room_version=1, opened_at=harness.clock.moment)
    )
    wait = {"from": begin.isoformat(), "to": until_when.isoformat(), "length_minutes": LENGTH}
    joined = await waiter.post(f"/v1/rooms/{ROOM}/waitlist", json={**wait, "modality": query["modality"]})
    assert joined.status_code == 201, joined.text

    await harness.outbox()  # booking has judged
    (entry,) = (await waiter.get(f"/v1/rooms/{ROOM}/waitlist")).json()["items"]

    slots = await offered()
    to_waiter = await offered(waiter)
    if entry["offer"]:
        promised = datetime.fromisoformat(entry["offer"]["starts_at"])
        assert entry["offer"]["venue_id"] == venue_id
        assert promised not in slots
        assert promised in to_waiter or len(to_waiter) == 200
    for start in rng.sample(sorted(to_waiter), k=min(12, len(to_waiter))):
        wanted = request(start, LENGTH, member="walt", venue_id=venue_id, hold_until=until)
        assert codes((await harness.ask(wanted))[0]) == [], start
        await harness.receive(later(SessionRejected, wanted, reasons=[]))
    assert await offered(waiter) == to_waiter
    moments = {begin + 5 * MINUTE * step for step in range(36 * 12)}
    tried = sorted(slots) + rng.sample(sorted(moments - slots), 80)
    if len(slots) == 200:
        tried = [moment for moment in tried if moment <= max(slots)]
    for start in tried:
        wanted = request(start, LENGTH, venue_id=venue_id, hold_until=until)
        (answer,) = await harness.ask(wanted)
        assert (codes(answer) == []) is (start in slots), (start, answer)
        if start in slots:
            await harness.receive(
                later(
                    SessionCancelled,
                    wanted,
                    cancelled_by="member",
                    cancelled_at=harness.clock.moment,
                    forfeits=False,
                    was_confirmed=False,
                )
            )
    assert await offered() == slots


@pytest.mark.rule("AVAIL-1", "BOOK-8")
@pytest.mark.parametrize("seed", range(12))
async def test_who_reads_the_events_knows_the_schedule_that_the_service_itself_goes_by(
    harness: AvailabilityHarness, client: Client, seed: int
) -> None:
    written, _ = make_schedule(random.Random(seed))
    provider = client("provider", "doc")
    await provider.put("/v1/providers/doc/schedule", json=as_body(written))
    (published,) = await harness.outbox()
    assert isinstance(published, SchedulePublished)
    async with harness.database.reading() as queries:
        own = (await harness.dependencies.schedules.load(queries, ["doc"], harness.clock.now()))["doc"]
    assert schedule_of(published) == own == written
    off = {"starts_at": at(10).isoformat(), "ends_at": at(12).isoformat(), "note": "dentist"}
    assert (await provider.post("/v1/providers/doc/time-off", json=off)).status_code == 201
    (added,) = await harness.outbox()
    assert isinstance(added, TimeOffAdded)
    assert (added.starts_at, added.ends_at) == (at(10), at(12))


@pytest.mark.rule("AVAIL-2", "CANC-3")
async def test_a_slot_goes_when_it_is_held_and_comes_back_when_it_is_released(
    harness: AvailabilityHarness, client: Client
) -> None:
    await harness.publish(buffer_after_minutes=15)
    member = client("member", "else")

    async def starts() -> list[str]:
        answer = await member.get(
            "/v1/providers/doc/slots",
            params={"from": at(9).isoformat(), "to": at(10, 45).isoformat(), "length_minutes": 30, "modality": "video"},
        )
        return [item["local_start"][-5:] for item in answer.json()["items"]]

    everything = ["09:00", "09:15", "09:30", "09:45", "10:00", "10:15", "10:30"]
    assert await starts() == everything
    wanted = request(at(9, 45))
    await harness.ask(wanted)
    assert await starts() == ["09:00", "10:30"]
    await harness.pass_time(NOW + 15 * MINUTE)
    assert await starts() == everything


@pytest.mark.rule("AVAIL-2")
async def test_pages_neither_skip_nor_repeat_a_slot(harness: AvailabilityHarness, client: Client) -> None:
    await harness.publish()
    await harness.ask(request(at(11), member="else"))
    member = client("member", "anna")
    query: dict[str, Any] = {
        "from": at(9).isoformat(),
        "to": at(9, day=9).isoformat(),
        "length_minutes": 30,
        "modality": "video",
    }
    whole = (await member.get("/v1/providers/doc/slots", params={**query, "limit": 200})).json()
    assert whole["next_cursor"] is None
    paged: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        answer = (await member.get("/v1/providers/doc/slots", params={**query, "limit": 7, **cursor})).json()
        paged += answer["items"]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert paged == whole["items"]
    assert len(paged) == 4 * 31 - 3


@pytest.mark.rule("RESC-2", "AVAIL-2")
async def test_the_check_names_the_provider_or_the_venue_and_forgets_the_session_that_would_move(
    harness: AvailabilityHarness, client: Client
) -> None:
    await harness.publish()
    await harness.publish("other")
    room = new_id()
    async with harness.database.transaction(CAUSE) as unit:
        await unit.execute("INSERT INTO venues (id, version, name, time_zone) VALUES ($1, 1, 'Room', 'UTC')", room)
    mine, theirs = request(at(10), venue_id=room), request(at(14), provider="other", member="b", venue_id=room)
    await harness.ask(mine, theirs)
    provider = client("provider", "doc")

    async def message(start: datetime, **query: Any) -> str:
        answer = await provider.get(
            "/v1/providers/doc/availability",
            params={
                "starts_at": start.isoformat(),
                "length_minutes": 30,
                "modality": "in_person",
                "venue_id": room,
                **query,
            },
        )
        assert answer.json()["available"] is (answer.json()["message"] == "Slot available")
        return str(answer.json()["message"])

    assert await message(at(12)) == "Slot available"
    assert await message(at(10, 15)) == "Provider is not available"
    assert await message(at(10, 15), session_id=mine.session_id) == "Slot available"
    assert await message(at(14, 15)) == "Venue is not available"
    assert await message(at(14, 15), session_id=mine.session_id) == "Venue is not available"
    assert await message(at(18)) == "Provider is not available"
    assert await message(NOW - MINUTE) == "Provider is not available"
    await harness.publish("third")
    other = request(at(16), provider="third", member=mine.member_id)
    await harness.ask(other)
    assert await message(at(16, 15)) == "Slot available", "nobody's session in particular"
    assert await message(at(16, 15), session_id=mine.session_id) == "Member is not available"
    assert await message(at(16, 30), session_id=mine.session_id) == "Slot available"
    assert await message(at(16, 15), session_id=theirs.session_id) == "Slot available", "not theirs to know"
    assert await message(at(16, 15), session_id=other.session_id) == "Slot available", "not theirs to know"
    assert await message(datetime(9999, 12, 31, 23, 59, tzinfo=UTC)) == "Provider is not available"
