"""Who is erased offers nothing and waits for nothing any more (NOTE-5)."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts.events import (
    Event,
    PersonErased,
    RoomClosed,
    ScheduleWithdrawn,
    WaitlistCandidateProposed,
    WaitlistEnded,
)

from .harness import NOW, AvailabilityHarness, all_codes, at, body, request
from .waiting import ANNA, WANTED, Client, cancelled, full_morning, join, offered_to, statuses, told

pytestmark = pytest.mark.rule("NOTE-5")


async def erase(harness: AvailabilityHarness, *people: str) -> list[Event]:
    return await harness.receive(*(PersonErased(person_id=person, erased_at=NOW) for person in people))


async def test_an_erased_provider_is_offered_and_booked_no_more(harness: AvailabilityHarness, client: Client) -> None:
    await harness.publish()
    assert await offered_to(client, "anna") != []
    (withdrawn,) = await erase(harness, "doc")
    assert isinstance(withdrawn, ScheduleWithdrawn)
    assert (withdrawn.provider_id, withdrawn.schedule_version) == ("doc", 2)
    assert await offered_to(client, "anna") == []
    assert all_codes(await harness.ask(request(at(9), 60, hold_until=at(8)))) == [["slot-not-offered"]]
    query: dict[str, Any] = {"starts_at": at(9).isoformat(), "length_minutes": 60, "modality": "video"}
    asked = await client("member", "anna").get("/v1/providers/doc/availability", params=query)
    assert asked.json()["message"] == "Provider is not available"
    assert (await client("provider", "doc").get("/v1/providers/doc/schedule")).status_code == 404
    assert await erase(harness, "doc", "anna", "nobody") == [], "told again, nothing happens again"


async def test_nobody_waits_for_an_erased_provider_and_what_was_held_is_free(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    for member in ("anna", "ben"):
        await join(client, member)
    await harness.receive(cancelled(taken))
    assert await statuses(client) == [("offered", 1), ("waiting", 2)]
    events = await erase(harness, "doc")
    assert told(events) == [("Ended", "anna"), ("Ended", "ben")]
    assert {event.cause for event in events if isinstance(event, WaitlistEnded)} == {"erased"}
    assert await statuses(client) == []
    assert await harness.value("SELECT count(*) FROM slot_holds WHERE live") == 0
    assert await harness.advance(at(23)) == []


async def test_offers_and_entries_of_an_erased_member_end_and_the_next_in_line_is_served(
    harness: AvailabilityHarness, client: Client
) -> None:
    taken = await full_morning(harness)
    for member in ("anna", "ben"):
        await join(client, member)
    await harness.receive(cancelled(taken))
    assert told(await erase(harness, "anna")) == [("Ended", "anna"), ("Offered", "ben")]
    assert await statuses(client) == [("offered", 1)]


async def test_a_candidate_who_is_erased_makes_way(harness: AvailabilityHarness, client: Client) -> None:
    taken = await full_morning(harness)
    for member in ("anna", "ben"):
        await join(client, member)
    await harness.outbox()
    harness.booking_judges = False
    await harness.receive(cancelled(taken))
    events = await erase(harness, "anna")
    assert told(events) == [("Ended", "anna")]
    assert [event.member_id for event in events if isinstance(event, WaitlistCandidateProposed)] == ["ben"]


async def test_who_is_both_and_the_members_of_their_line_are_erased_in_one_batch(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    await join(client, "anna")
    await harness.outbox()
    events = await erase(harness, "anna", "doc")
    assert sorted(type(event).__name__ for event in events) == ["ScheduleWithdrawn", "WaitlistEnded"]


async def test_a_schedule_that_is_published_later_counts(harness: AvailabilityHarness, client: Client) -> None:
    await harness.publish()
    await erase(harness, "doc")
    published = await client("provider", "doc").put("/v1/providers/doc/schedule", json=body())
    assert published.json()["version"] == 3
    assert await offered_to(client, "anna") != []


async def test_nobody_can_begin_to_wait_in_a_room_that_the_erasure_closed(
    harness: AvailabilityHarness, client: Client
) -> None:
    await full_morning(harness)
    await erase(harness, "doc")
    closed = RoomClosed(
        room_id=ANNA, member_id="anna", provider_id="doc", room_version=2, closed_at=NOW, erased="provider"
    )
    await harness.receive(closed)
    answer = await client("member", "anna").post(f"/v1/rooms/{ANNA}/waitlist", json=WANTED)
    assert answer.status_code == 409
