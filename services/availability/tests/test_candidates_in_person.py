"""A session in person is offered only with a free venue, and holds it (AVAIL-6, AVAIL-3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_availability.domain.waitlist import HeldSlot
from makegood_contracts.events import (
    Event,
    SessionRejected,
    SessionReserved,
    WaitlistCandidateProposed,
    WaitlistOffered,
)
from makegood_contracts.ids import new_id

from .harness import NOW, AvailabilityHarness, all_codes, at, body, later, move, request
from .waiting import HOUR, Client, cancelled, full_morning, join, mine, opened, statuses, told

pytestmark = pytest.mark.rule("AVAIL-6")
DAY = [{"day": "tuesday", "from": "09:00", "to": "10:00"}]


async def venue(client: Client, **changes: Any) -> str:
    answer = await client("ops", "olga").post("/v1/venues", json={"name": "Room", "time_zone": "UTC", **changes})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def never_open(wanted: bool) -> dict[str, Any]:
    """The hours of a venue that is always closed, if they are wanted."""
    return {"weekly": []} if wanted else {}


async def taken_by(harness: AvailabilityHarness, venue_id: str, provider: str = "other") -> Any:
    """Another provider's session in the venue, in the hour that is waited for."""
    await harness.publish(provider)
    session = request(at(9), 60, provider=provider, member=f"with-{provider}", venue_id=venue_id, hold_until=at(8))
    assert all_codes(await harness.ask(session)) == [[]]
    await harness.receive(later(SessionReserved, session, confirm_by=at(8)))
    return session


async def offers(events: list[Event]) -> list[tuple[str, str | None]]:
    return [(event.member_id, event.venue_id) for event in events if isinstance(event, WaitlistOffered)]


async def test_without_any_venue_nothing_is_offered_in_person(harness: AvailabilityHarness, client: Client) -> None:
    taken = await full_morning(harness)
    await join(client, "anna", modality="in_person")
    assert told(await harness.receive(cancelled(taken))) == [("Joined", "anna")]
    assert await statuses(client) == [("waiting", 1)]
    made = await venue(client)
    assert await offers(await harness.advance()) == [("anna", made)], "a new venue opens it"


@pytest.mark.rule("AVAIL-3")
async def test_the_venue_of_an_offer_is_held_from_everybody_else_and_booked_by_its_member(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken, room = await full_morning(harness), await venue(client)
    await join(client, "anna", modality="in_person")
    assert await offers(await harness.receive(cancelled(taken))) == [("anna", room)]
    (entry,) = await mine(client, "anna")
    assert entry["offer"]["venue_id"] == room
    await harness.publish("other")
    elsewhere = request(at(9), 60, provider="other", member="zoe", venue_id=room, hold_until=at(8))
    assert all_codes(await harness.ask(elsewhere)) == [["venue-taken"]]
    own_elsewhere = request(at(9), 60, provider="other", member="anna", venue_id=room, hold_until=at(8))
    assert all_codes(await harness.ask(own_elsewhere)) == [["venue-taken"]], (
        "it is held for a session with this provider"
    )
    query: dict[str, Any] = {
        "from": at(8).isoformat(),
        "to": at(17).isoformat(),
        "length_minutes": 60,
        "modality": "in_person",
    }
    for provider, starts in (("doc", ["2027-01-05T09:00:00Z"]), ("other", [])):
        found = await client("member", "anna").get(
            f"/v1/providers/{provider}/slots", params={**query, "to": at(10).isoformat(), "venue_id": room}
        )
        assert [item["starts_at"] for item in found.json()["items"] if item["starts_at"] == "2027-01-05T09:00:00Z"] == (
            starts
        )
    wanted = request(at(9), 60, member="anna", venue_id=room, hold_until=at(8))
    assert all_codes(await harness.ask(wanted)) == [[]]


async def test_a_booking_that_is_refused_gives_slot_and_venue_back_to_the_offer(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken, room = await full_morning(harness), await venue(client)
    await join(client, "anna", modality="in_person")
    await harness.receive(cancelled(taken))
    wanted = request(at(9), 60, member="anna", venue_id=room, hold_until=at(8))
    await harness.ask(wanted)
    await harness.receive(later(SessionRejected, wanted, reasons=[]))
    assert await statuses(client) == [("offered", 1)]
    assert await harness.value("SELECT venue_id FROM slot_holds WHERE live AND offered_to = 'anna'") == room


async def test_an_offer_whose_venue_went_while_it_was_being_booked_elsewhere_is_none_and_the_place_is_kept(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    first, second = await venue(client), await venue(client)
    await join(client, "anna", modality="in_person")
    await harness.receive(cancelled(taken))
    wanted = request(at(9), 60, member="anna", venue_id=second, hold_until=at(8))
    assert all_codes(await harness.ask(wanted)) == [[]]
    await taken_by(harness, first)
    events = await harness.receive(later(SessionRejected, wanted, reasons=[]))
    assert told(events) == [("OfferLapsed", "anna"), ("Offered", "anna")]
    assert await offers(events) == [("anna", second)]


@pytest.mark.parametrize("way", ["taken", "closed"])
async def test_of_several_venues_one_that_is_open_and_free_is_chosen(
    harness: AvailabilityHarness, client: Client, way: str
) -> None:
    taken = await full_morning(harness)
    first, second = await venue(client, **never_open(way == "closed")), await venue(client)
    if way == "taken":
        await taken_by(harness, first)
    await join(client, "anna", modality="in_person")
    assert await offers(await harness.receive(cancelled(taken))) == [("anna", second)]


@pytest.mark.parametrize("how", ["cancelled", "offer lapses", "hours", "candidate"])
async def test_a_venue_that_opens_elsewhere_serves_those_who_wait_for_it(
    harness: AvailabilityHarness, client: Client, how: str
) -> None:
    taken = await full_morning(harness)
    room = await venue(client, **never_open(how == "hours"))
    if how == "cancelled":
        session = await taken_by(harness, room)
    if how in ("offer lapses", "candidate"):
        await harness.publish("other", weekly=DAY)
        await harness.receive(opened(elsewhere := new_id(), "walt", "other"))
        if how == "candidate":
            harness.booking_judges = False
        wanted = {"from": at(9).isoformat(), "to": at(10).isoformat(), "length_minutes": 60, "modality": "in_person"}
        await client("member", "walt").post(f"/v1/rooms/{elsewhere}/waitlist", json=wanted)
        proposal = [e for e in await harness.outbox() if isinstance(e, WaitlistCandidateProposed)][-1]
    await join(client, "anna", modality="in_person")
    found = await offers(await harness.receive(cancelled(taken)))
    assert found == [], "no venue is free"
    if how == "cancelled":
        await harness.receive(cancelled(session))
    elif how == "offer lapses":
        harness.clock.moment = NOW + 2 * HOUR
    elif how == "hours":
        weekly = body(weekly=DAY)["weekly"]
        changed = {"name": "Room", "time_zone": "UTC", "weekly": weekly}
        await client("ops", "olga").put(f"/v1/venues/{room}", json=changed)
    else:
        harness.booking_judges = True
        await harness.judge(proposal, "coverage-ended")
    assert await offers(await harness.advance()) == [("anna", room)]


async def waits_elsewhere(harness: AvailabilityHarness, client: Client) -> None:
    """Walt is offered the hour with another provider, and a venue for it."""
    await harness.publish("other")
    await harness.receive(opened(elsewhere := new_id(), "walt", "other"))
    wanted = {"from": at(9).isoformat(), "to": at(10).isoformat(), "length_minutes": 60, "modality": "in_person"}
    answer = await client("member", "walt").post(f"/v1/rooms/{elsewhere}/waitlist", json=wanted)
    assert answer.status_code == 201, answer.text
    assert [member for member, _ in await offers(await harness.outbox())] == ["walt"]


@pytest.mark.rule("RESC-1")
async def test_a_venue_that_a_move_leaves_serves_those_who_wait_for_it(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken, room = await full_morning(harness), await venue(client)
    session = await taken_by(harness, room)
    await join(client, "anna", modality="in_person")
    assert await offers(await harness.receive(cancelled(taken))) == [], "no venue is free"
    await harness.receive(move(session, at(11)))
    assert await offers(await harness.advance()) == [("anna", room)]


@pytest.mark.parametrize("how", ["booked by video", "moved by video", "booked for a shorter time"])
async def test_a_venue_whose_offer_is_taken_without_it_serves_those_who_wait_for_it(
    harness: AvailabilityHarness, client: Client, how: str
) -> None:
    taken, room = await full_morning(harness), await venue(client)
    shorter = how == "booked for a shorter time"
    if how == "moved by video":
        await harness.publish("other")
        own = request(at(11), 60, provider="other", member="walt", hold_until=at(8))
        assert all_codes(await harness.ask(own)) == [[]]
    await waits_elsewhere(harness, client)
    await join(client, "anna", modality="in_person", length_minutes=30 if shorter else 60)
    assert await offers(await harness.receive(cancelled(taken))) == [], "no venue is free"
    if how == "moved by video":
        await harness.receive(move(own, at(9)))
    else:
        wanted = request(
            at(9), 30 if shorter else 60, provider="other", member="walt", venue_id=room if shorter else None
        )
        assert all_codes(await harness.ask(wanted)) == [[]]
    assert await offers(await harness.advance()) == [("anna", room)]


async def test_an_offer_that_is_booked_for_a_shorter_time_leaves_the_rest_to_the_next(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    await join(client, "ben", length_minutes=30)
    await harness.receive(cancelled(taken))
    assert [entry["status"] for entry in await mine(client, "ben")] == ["waiting"]
    assert all_codes(await harness.ask(request(at(9), 30, member="anna", hold_until=at(8)))) == [[]]
    assert await offers(await harness.advance()) == [("ben", None)]


ANY_START, ANY_LENGTH = st.integers(0, 8), st.integers(1, 8)


@given(
    ANY_START, ANY_LENGTH, ANY_START, ANY_LENGTH, st.sampled_from([None, "v", "w"]), st.sampled_from([None, "v", "w"])
)
def test_what_a_session_leaves_of_an_offer_is_what_it_does_not_use(
    offered_at: int, offered: int, booked_at: int, booked: int, offered_in: str | None, booked_in: str | None
) -> None:
    def quarter(number: int) -> datetime:
        return NOW + number * HOUR / 4

    offer = HeldSlot(quarter(offered_at), quarter(offered_at + offered), NOW, offered_in)
    session = (quarter(booked_at), quarter(booked_at + booked))
    times = set(range(offered_at, offered_at + offered)), set(range(booked_at, booked_at + booked))
    assert offer.leaves_time(*session) is bool(times[0] - times[1])
    held, used = (
        {(place, time) for time in span if place} for place, span in zip((offered_in, booked_in), times, strict=True)
    )
    assert offer.leaves_venue(booked_in, *session) is bool(held - used)


async def test_two_candidates_in_one_venue_pass_it_on_without_end(harness: AvailabilityHarness, client: Client) -> None:
    """Neither could book: each one's refusal frees the venue for the other's line, and that is all."""
    taken = await full_morning(harness)
    await venue(client)
    await harness.publish("other", weekly=DAY)
    await harness.receive(opened(elsewhere := new_id(), "walt", "other"))
    harness.obstacles |= {"walt": ["coverage-ended"], "anna": ["coverage-ended"]}
    wanted = {"from": at(9).isoformat(), "to": at(10).isoformat(), "length_minutes": 60, "modality": "in_person"}
    await client("member", "walt").post(f"/v1/rooms/{elsewhere}/waitlist", json=wanted)
    await join(client, "anna", modality="in_person")
    await harness.receive(cancelled(taken))
    for _ in range(5):
        await harness.advance()
    assert await harness.value("SELECT count(*) FROM deadlines WHERE due_at <= $1", harness.clock.moment) == 0
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 0
