"""The waitlist: who waits gets an offer when something opens, in the order of the line (AVAIL-6)."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_chassis.database import UnitOfWork
from makegood_contracts.events import (
    Event,
    ProviderChanged,
    RoomClosed,
    RoomRestarted,
    SessionReserved,
    SlotMoved,
    WaitlistEnded,
    WaitlistOffered,
)
from makegood_contracts.ids import new_id

from .harness import DAYS, NOW, AvailabilityHarness, all_codes, at, body, later, move, request
from .waiting import (
    ANNA,
    HOUR,
    ROOMS,
    WANTED,
    Client,
    cancelled,
    full_morning,
    join,
    mine,
    offered_to,
    opened,
    statuses,
    told,
)


@pytest.mark.rule("AVAIL-6")
async def test_when_a_slot_opens_the_first_in_line_gets_it_offered_and_it_is_out_of_everybody_elses_search(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    entries = [await join(client, member) for member in ROOMS]
    assert [(entry["status"], entry["position"], entry["offer"]) for entry in entries] == [
        ("waiting", 1, None),
        ("waiting", 2, None),
        ("waiting", 3, None),
    ]
    assert told(await harness.outbox()) == [("Joined", member) for member in ROOMS]
    events = await harness.receive(cancelled(taken))
    assert told(events) == [("Offered", "anna")]
    offer = events[-1]
    assert isinstance(offer, WaitlistOffered)
    assert (offer.starts_at, offer.ends_at, offer.lapses_at) == (at(9), at(10), NOW + 2 * HOUR)
    (entry,) = await mine(client, "anna")
    assert (entry["id"], entry["status"], entry["position"]) == (entries[0]["id"], "offered", 1)
    assert entry["offer"] == {
        "starts_at": "2027-01-05T09:00:00Z",
        "ends_at": "2027-01-05T10:00:00Z",
        "lapses_at": "2027-01-04T10:00:00Z",
        "venue_id": None,
    }
    assert await statuses(client) == [("offered", 1), ("waiting", 2), ("waiting", 3)]
    assert await offered_to(client, "anna") == ["09:00"]
    assert await offered_to(client, "ben") == []
    assert all_codes(await harness.ask(request(at(9), 60, member="ben"))) == [["slot-taken"]]


@pytest.mark.rule("AVAIL-6")
async def test_who_joins_while_something_is_free_gets_it_as_soon_as_booking_has_judged(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    await harness.publish()
    for member, start in (("anna", "2027-01-05T10:00:00Z"), ("ben", "2027-01-05T11:00:00Z")):
        joined = await join(client, member, **{"from": at(9, 5).isoformat(), "to": at(12).isoformat()})
        assert (joined["status"], joined["offer"]) == ("waiting", None), "a candidate is told nothing yet"
        assert told(await harness.outbox()) == [("Joined", member), ("Offered", member)]
        (entry,) = await mine(client, member)
        assert (entry["status"], entry["offer"]["starts_at"]) == ("offered", start)


@pytest.mark.rule("AVAIL-6")
@pytest.mark.parametrize("how", ["release", "lapse", "move", "time off", "schedule", "other provider"])
async def test_whatever_opens_a_slot_those_who_wait_get_it(
    harness: AvailabilityHarness, client: Client, how: str
) -> None:
    taken = await full_morning(harness)
    doc = client("provider", "doc")
    if how == "lapse":
        await harness.receive(cancelled(taken))
        await harness.ask(request(at(9), 60, member="zoe", hold_until=NOW + HOUR))
    if how == "time off":
        off = {"starts_at": at(8).isoformat(), "ends_at": at(11).isoformat(), "sessions": "keep"}
        made = (await doc.post("/v1/providers/doc/time-off", json=off)).json()
        await harness.receive(cancelled(taken))
    if how == "schedule":
        await doc.put("/v1/providers/doc/schedule", json=body(weekly=[]))
        await harness.receive(cancelled(taken))
    if how == "other provider":
        await harness.publish("other")
        elsewhere = request(at(9, 30), 60, provider="other", member="anna", hold_until=at(8))
        await harness.ask(elsewhere)
        await harness.receive(cancelled(taken))
    assert (await join(client, "anna"))["status"] == "waiting"
    await harness.advance()
    if how == "release":
        events = await harness.receive(cancelled(taken))
    elif how == "lapse":
        events = await harness.advance(NOW + HOUR)
    elif how == "move":
        await harness.publish(weekly=[{"day": "tuesday", "from": "09:00", "to": "11:00"}])
        events = await harness.receive(move(taken, at(10), moved_by="provider"))
        assert isinstance(events[0], SlotMoved)
    elif how == "time off":
        await doc.delete(f"/v1/providers/doc/time-off/{made['id']}")
        events = await harness.advance()
    elif how == "schedule":
        wide = body(weekly=[{"day": day, "from": "08:00", "to": "12:00"} for day in DAYS])
        await doc.put("/v1/providers/doc/schedule", json=wide)
        events = await harness.advance()
    else:
        events = await harness.receive(cancelled(elsewhere))
    assert told(events) == [("Offered", "anna")]


@pytest.mark.rule("AVAIL-6")
async def test_a_schedule_that_grows_serves_those_who_wait(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    later_that_day = {"from": at(13).isoformat(), "to": at(14).isoformat()}
    assert (await join(client, "anna", **later_that_day))["status"] == "waiting"
    await harness.advance()
    await client("provider", "doc").put("/v1/providers/doc/schedule", json=body())
    assert told(await harness.advance()) == [("Offered", "anna")]


@pytest.mark.rule("AVAIL-6")
async def test_the_first_whose_time_fits_is_served_even_from_the_middle_of_the_waitlist(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna", **{"from": at(9, day=12).isoformat(), "to": at(9, 5, day=12).isoformat()})
    await join(
        client, "ben", length_minutes=30, **{"from": at(9, day=13).isoformat(), "to": at(10, day=13).isoformat()}
    )
    await join(client, "cleo")
    await harness.outbox()
    assert told(await harness.receive(cancelled(taken))) == [("Offered", "cleo")]


@pytest.mark.rule("AVAIL-6")
async def test_an_entry_whose_time_has_passed_lapses(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    await join(client, "anna")
    assert told(await harness.advance(at(9, 59)))[1:] == []
    events = await harness.advance(at(10))
    assert told(events) == [("Ended", "anna")]
    assert isinstance(events[0], WaitlistEnded)
    assert (events[0].cause, events[0].starts_at) == ("lapsed", None)
    assert await statuses(client) == [("lapsed", None)]


@pytest.mark.rule("AVAIL-6", "ROOM-1")
@pytest.mark.parametrize("kind", [RoomClosed, ProviderChanged])
async def test_nobody_waits_in_a_room_that_is_closed(
    harness: AvailabilityHarness, client: Client, kind: type[Event]
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    await join(client, "ben")
    await harness.receive(cancelled(taken))
    facts: dict[str, Any] = {"room_id": ANNA, "member_id": "anna", "provider_id": "doc", "room_version": 2}
    if kind is RoomClosed:
        closed: Event = RoomClosed(**facts, closed_at=NOW)
    else:
        closed = ProviderChanged(
            **facts,
            new_room_id=new_id(),
            new_provider_id="other",
            changed_at=NOW,
        )
    assert told(await harness.receive(closed)) == [("Ended", "anna"), ("Offered", "ben")]
    anna = client("member", "anna")
    refused = await anna.post(f"/v1/rooms/{ANNA}/waitlist", json=WANTED)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/room-closed")
    # Told again, or read anew from the start: the latest stands.
    await harness.receive(opened(ANNA, "anna"))
    assert (await anna.post(f"/v1/rooms/{ANNA}/waitlist", json=WANTED)).status_code == 409
    await harness.receive(
        RoomRestarted(room_id=ANNA, member_id="anna", provider_id="doc", room_version=3, restarted_at=NOW)
    )
    assert (await anna.post(f"/v1/rooms/{ANNA}/waitlist", json=WANTED)).status_code == 201


@pytest.mark.rule("AVAIL-6")
async def test_a_member_has_one_offer_of_a_provider_at_a_time(harness: AvailabilityHarness, client: Client) -> None:
    await full_morning(harness)
    await harness.publish()
    day = {"from": at(9).isoformat(), "to": at(17).isoformat()}
    for length in (60, 30):
        await join(client, "anna", **day, length_minutes=length)
    assert told(await harness.outbox()) == [("Joined", "anna"), ("Joined", "anna"), ("Offered", "anna")]
    assert [entry["status"] for entry in await mine(client, "anna")] == ["offered", "waiting"]


@pytest.mark.rule("AVAIL-6")
async def test_what_a_member_waits_for_beyond_the_horizon_is_offered_once_it_comes_within(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    await harness.publish(horizon_days=7)
    far = {"from": at(9, day=20).isoformat(), "to": at(10, day=20).isoformat()}
    assert (await join(client, "anna", **far))["status"] == "waiting"
    assert told(await harness.advance(at(8, day=13)))[1:] == []
    assert told(await harness.advance(at(9, day=13))) == [("Offered", "anna")]


@pytest.mark.rule("AVAIL-6")
async def test_where_nobody_waits_a_release_is_one_statement(
    harness: AvailabilityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.publish()
    sessions = [request(at(9 + n), 60, member=f"m{n}", hold_until=at(8)) for n in range(4)]
    await harness.ask(*sessions)
    asked: list[str] = []

    def count(read: Any) -> Any:
        async def counted(self: UnitOfWork, statement: Any, *args: Any) -> Any:
            asked.append(str(statement))
            return await read(self, statement, *args)

        return counted

    for name in ("fetch", "look"):
        monkeypatch.setattr(UnitOfWork, name, count(getattr(UnitOfWork, name)))
    await harness.receive(*(later(SessionReserved, session, confirm_by=at(8)) for session in sessions))
    assert len(asked) == 1
    await harness.receive(*(cancelled(session) for session in sessions))
    assert len(asked) == 2
