"""An offer: how long it is held, how it is booked, and how it lapses or is taken back (AVAIL-6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts.events import (
    PolicyChanged,
    SessionRejected,
    SessionReserved,
    SlotHeld,
    SlotMoved,
    WaitlistEnded,
    WaitlistOffered,
)
from makegood_contracts.ids import new_id

from .harness import NOW, AvailabilityHarness, all_codes, at, codes, later, move, request
from .waiting import HOUR, ROOMS, Client, cancelled, full_morning, join, mine, offered_to, statuses, told


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_is_held_as_long_as_the_policy_says_when_it_is_made(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    for version, minutes in ((3, 45), (2, 300)):  # the older one comes again, after the newer
        await harness.receive(policy(version, minutes))
    (offer,) = (event for event in await harness.receive(cancelled(taken)) if isinstance(event, WaitlistOffered))
    assert offer.lapses_at == NOW + timedelta(minutes=45)
    await harness.receive(policy(4, 10))
    (entry,) = await mine(client, "anna")
    assert entry["offer"]["lapses_at"] == "2027-01-04T08:45:00Z"


def policy(version: int, offer_minutes: int) -> PolicyChanged:
    return PolicyChanged(
        policy_id="standard",
        policy_version=version,
        in_force_from=NOW,
        notice_hours=48,
        confirm_hours=24,
        join_minutes=10,
        grace_minutes=10,
        no_show_minutes=15,
        inactivity_days=25,
        offer_minutes=offer_minutes,
    )


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_is_accepted_by_booking_it_and_ends_once_the_session_is_reserved(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    await harness.receive(cancelled(taken))
    wanted = request(at(9), 60, member="anna", hold_until=at(8))
    (held,) = await harness.receive(wanted)
    assert isinstance(held, SlotHeld)
    assert await statuses(client) == [("offered", 1)]
    events = await harness.receive(later(SessionReserved, wanted, confirm_by=at(8)))
    assert told(events) == [("Ended", "anna")]
    assert isinstance(events[0], WaitlistEnded)
    assert (events[0].cause, events[0].starts_at) == ("booked", at(9))
    assert await statuses(client) == [("booked", None)]
    assert await harness.advance(at(23)) == []
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 1


@pytest.mark.rule("AVAIL-6", "BOOK-1")
async def test_a_booking_that_is_refused_gives_the_offer_back_for_the_rest_of_its_time(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    for member in ("anna", "ben"):
        await join(client, member)
    await harness.receive(cancelled(taken))
    wanted = request(at(9), 60, member="anna", hold_until=NOW + 3 * HOUR)
    await harness.ask(wanted)
    events = await harness.receive(later(SessionRejected, wanted, reasons=[]))
    assert told(events) == []
    assert await statuses(client) == [("offered", 1), ("waiting", 2)]
    assert await offered_to(client, "ben") == []
    again = request(at(9), 60, member="anna", hold_until=NOW + 3 * HOUR)
    assert all_codes(await harness.ask(again)) == [[]]
    # Its time passes while the booking is undecided: whatever comes of that decides.
    assert told(await harness.advance(NOW + 2 * HOUR)) == []
    events = await harness.receive(later(SessionRejected, again, reasons=[]))
    assert told(events) == [("OfferLapsed", "anna"), ("Ended", "anna"), ("Offered", "ben")]
    assert await statuses(client) == [("lapsed", None), ("offered", 1)]


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_that_is_not_taken_in_time_lapses_and_passes_on_to_the_next(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    for member in ROOMS:
        await join(client, member)
    await harness.receive(cancelled(taken))
    assert told(await harness.advance(NOW + 2 * HOUR - timedelta(seconds=1))) == []
    assert told(await harness.advance(NOW + 2 * HOUR)) == [
        ("OfferLapsed", "anna"),
        ("Ended", "anna"),
        ("Offered", "ben"),
    ]
    assert await statuses(client) == [("lapsed", None), ("offered", 1), ("waiting", 2)]
    assert (await offered_to(client, "anna"), await offered_to(client, "ben")) == ([], ["09:00"])
    assert told(await harness.advance(NOW + 4 * HOUR))[2:] == [("Offered", "cleo")]
    assert told(await harness.advance(NOW + 6 * HOUR)) == [("OfferLapsed", "cleo"), ("Ended", "cleo")]
    assert await offered_to(client, "anna") == ["09:00"]


@pytest.mark.rule("AVAIL-6")
async def test_an_offer_is_held_no_longer_than_its_slot_can_be_booked(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    await harness.publish(minimum_notice_minutes=60)
    await join(client, "anna", **{"from": at(9, 30, day=4).isoformat(), "to": at(10, day=4).isoformat()})
    await harness.outbox()
    (entry,) = await mine(client, "anna")
    assert entry["offer"]["starts_at"] == "2027-01-04T09:30:00Z"
    assert entry["offer"]["lapses_at"] == "2027-01-04T08:30:00Z"


@pytest.mark.rule("AVAIL-6", "AVAIL-1")
async def test_an_offer_that_cannot_be_booked_any_more_is_taken_back_and_the_place_is_kept(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    await harness.receive(cancelled(taken))
    doc = client("provider", "doc")
    off = {"starts_at": at(8).isoformat(), "ends_at": at(11).isoformat()}
    added = await doc.post("/v1/providers/doc/time-off", json=off)
    assert added.status_code == 201, "an offer is no session"
    assert told(await harness.advance()) == [("OfferLapsed", "anna")]
    assert await statuses(client) == [("waiting", 1)]
    await doc.delete(f"/v1/providers/doc/time-off/{added.json()['id']}")
    assert told(await harness.advance()) == [("Offered", "anna")]


@pytest.mark.rule("AVAIL-6")
async def test_a_member_can_move_a_session_to_what_was_offered(harness: AvailabilityHarness, client: Client) -> None:
    taken = await full_morning(harness)
    await harness.publish(weekly=[{"day": "tuesday", "from": "09:00", "to": "12:00"}])
    own = request(at(11), 60, member="anna", hold_until=at(8))
    await harness.ask(own)
    await join(client, "anna")
    await harness.receive(cancelled(taken))
    events = await harness.receive(move(own, at(9)))
    assert [codes(event) for event in events if isinstance(event, SlotMoved)] == [[]]
    assert told(events) == [("Ended", "anna")]
    assert await statuses(client) == [("booked", None)]


@pytest.mark.rule("AVAIL-6")
async def test_a_session_in_person_is_offered_with_a_venue_and_booked_with_it(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    room = new_id()
    async with harness.database.reading() as queries:
        await queries.execute("INSERT INTO venues (id, version, name, time_zone) VALUES ($1, 1, 'Room', 'UTC')", room)
    await join(client, "anna", modality="in_person")
    assert told(await harness.receive(cancelled(taken))) == [("Joined", "anna"), ("Offered", "anna")]
    assert all_codes(await harness.ask(request(at(9), 60, member="anna", venue_id=room))) == [[]]


@pytest.mark.rule("AVAIL-6", "AVAIL-4")
async def test_an_offer_is_no_session_and_lapses_with_nobodys_hold(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    await harness.receive(cancelled(taken))
    await harness.publish("other")
    # A hold that lapses in the same second as the offer.
    await harness.ask(request(at(9), provider="other", member="b", hold_until=NOW + 2 * HOUR))
    events = await harness.advance(NOW + 2 * HOUR)
    assert sorted(type(event).__name__ for event in events) == ["SlotReleased", "WaitlistEnded", "WaitlistOfferLapsed"]


@pytest.mark.rule("AVAIL-6")
async def test_what_is_only_offered_keeps_the_member_from_nothing_else(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    await join(client, "anna")
    await harness.receive(cancelled(taken))
    await harness.publish("other")
    assert all_codes(await harness.ask(request(at(9), 60, provider="other", member="anna", hold_until=at(8)))) == [[]]
    assert all_codes(await harness.ask(request(at(9), 60, member="anna", hold_until=at(8)))) == [["member-busy"]]
    assert await statuses(client) == [("offered", 1)]
