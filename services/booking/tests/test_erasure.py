"""Erasing a person ends what they had ahead: rooms close, and sessions are cancelled without loss (NOTE-5)."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts.events import PersonErased, RoomClosed, ScheduleWithdrawn, SessionCancelled
from makegood_contracts.ids import new_id
from makegood_testkit.service import slug

from .asking import rebook
from .examples import HOUR, MINUTE, NOW, START
from .harness import Answers, BookingHarness, Json
from .news import hear, schedule, told
from .test_api_bookability import bookability, covered, reasons, working

pytestmark = pytest.mark.rule("NOTE-5")


async def erase(harness: BookingHarness, *people: str) -> list[Any]:
    await harness.outbox()
    await harness.handle(*(PersonErased(person_id=person, erased_at=NOW) for person in people))
    return await harness.outbox()


async def room_of(harness: BookingHarness, session: Json) -> Json:
    found: Json = (await harness.support.get(f"/v1/rooms/{session['room_id']}")).json()
    return found


@pytest.mark.parametrize(("person", "party"), [("dr-lee", "provider"), ("anna", "member")])
async def test_sessions_ahead_are_cancelled_without_loss_and_rooms_close(
    harness: BookingHarness, person: str, party: str
) -> None:
    confirmed = await harness.confirmed(START)
    reserved = await harness.reserved(START + 2 * HOUR)
    asked = await harness.ask(START + 4 * HOUR)
    events = await erase(harness, person)
    cancelled = {event.session_id: event for event in events if isinstance(event, SessionCancelled)}
    assert cancelled.keys() == {confirmed["id"], reserved["id"], asked["id"]}
    for event in cancelled.values():
        assert (event.cancelled_by, event.forfeits, event.cause) == ("system", False, f"{party}_erased")
    (closed,) = [event for event in events if isinstance(event, RoomClosed)]
    assert (closed.room_id, closed.erased) == (confirmed["room_id"], party)
    assert (await room_of(harness, confirmed))["status"] == "closed"
    assert (await harness.read(confirmed))["status"] == "cancelled"
    assert await erase(harness, person) == [], "told again, nothing happens again"


async def test_of_other_people_nothing_ends_and_what_began_goes_its_way(harness: BookingHarness) -> None:
    session = await harness.confirmed(START)
    assert await erase(harness, "dr-other", "ben") == []
    harness.clock.moment = START
    await erase(harness, "dr-lee")
    assert (await harness.read(session))["status"] == "confirmed", "it has begun: attendance decides (JOIN-2)"


async def test_sessions_in_a_room_that_was_closed_before_are_cancelled_too(harness: BookingHarness) -> None:
    session = await harness.confirmed(START)
    await harness.member.post(f"/v1/rooms/{session['room_id']}/close")
    (event,) = await erase(harness, "dr-lee")
    assert isinstance(event, SessionCancelled)


async def test_what_was_booked_while_the_room_was_being_closed_is_cancelled_a_moment_later(
    harness: BookingHarness,
) -> None:
    room = await harness.room()
    await erase(harness, "dr-lee")
    await make_active(harness, room)
    session = (await rebook(harness, {"room_id": room}, START)).json()
    async with harness.service.database.reading() as queries:
        await queries.execute("UPDATE rooms SET status = 'closed' WHERE id = $1", room)
    events = await harness.advance(NOW + HOUR / 60)
    assert [event.session_id for event in events if isinstance(event, SessionCancelled)] == [session["id"]]


async def make_active(harness: BookingHarness, room: str) -> None:
    """As by what had read the room before the erasure, and commits after it."""
    async with harness.service.database.reading() as queries:
        await queries.execute("UPDATE rooms SET status = 'active' WHERE id = $1", room)


@pytest.mark.parametrize("came_back", [False, True])
async def test_a_room_that_became_active_again_meanwhile_is_closed_a_moment_later(
    harness: BookingHarness, came_back: bool
) -> None:
    await working(harness)
    session = await harness.confirmed(START)
    await erase(harness, "dr-lee")
    await make_active(harness, session["room_id"])
    if came_back:
        await working(harness, version=2)
    later = (await rebook(harness, session, START + 2 * HOUR)).json()
    await harness.handle(Answers.slot_held(later))
    await harness.handle(Answers.credit_held(later))
    assert (await harness.read(later))["status"] == "reserved"
    await harness.outbox()
    events = await harness.advance(NOW + HOUR / 60)
    if came_back:
        assert events == [], "with a new schedule they work again"
        return
    (closed,) = [event for event in events if isinstance(event, RoomClosed)]
    assert (closed.room_id, closed.erased) == (session["room_id"], "provider")
    (cancelled,) = [event for event in events if isinstance(event, SessionCancelled)]
    assert (cancelled.session_id, cancelled.forfeits, cancelled.cause) == (later["id"], False, "provider_erased")


@pytest.mark.rule("ROOM-1", "ROOM-3")
async def test_an_erased_provider_is_refused_before_availability_has_withdrawn_anything(
    harness: BookingHarness,
) -> None:
    await covered(harness)
    await working(harness)
    await hear(harness, told(schedule(provider_id="dr-kim")))
    room = await harness.room()
    await erase(harness, "dr-lee")
    again = await harness.member.post(f"/v1/rooms/{room}/restart")
    assert (again.status_code, slug(again)) == (409, "restart-not-allowed")
    assert again.json()["reasons"][0]["remedy"]["action"] == "match_new_provider"
    assert set(reasons(await bookability(harness, room)).values()) == {"match_new_provider"}
    opened = await harness.support.post("/v1/rooms", json={"member_id": "ben", "provider_id": "dr-lee"})
    assert (opened.status_code, slug(opened)) == (409, "provider-unavailable")
    elsewhere = await harness.support.post("/v1/rooms", json={"member_id": "ben", "provider_id": "dr-kim"})
    assert elsewhere.status_code == 201, elsewhere.text
    moved = await harness.support.post(
        f"/v1/rooms/{elsewhere.json()['id']}/change-provider", json={"provider_id": "dr-lee"}
    )
    assert (moved.status_code, slug(moved)) == (409, "provider-unavailable")
    await working(harness)
    assert (await harness.member.post(f"/v1/rooms/{room}/restart")).status_code == 409, "the old schedule, told again"
    await working(harness, version=2)
    assert (await harness.member.post(f"/v1/rooms/{room}/restart")).status_code == 200


@pytest.mark.rule("MISS-4", "BOOK-10")
async def test_what_an_erased_provider_missed_is_not_rebooked(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    session = await harness.confirmed(START)
    await harness.advance(START + 10 * MINUTE)
    assert (await harness.read(session))["status"] == "provider_missed"
    await erase(harness, "dr-lee")
    refused = await rebook(harness, session)
    assert (refused.status_code, slug(refused)) == (409, "room-closed")
    seen = (await harness.member.get(f"/v1/sessions/{session['id']}")).json()
    (button,) = [each for each in seen["actions"] if each["action"] == "rebook"]
    assert (button["allowed"], button["reason"]) == (False, "room-closed")


@pytest.mark.rule("BOOK-8", "ROOM-2")
async def test_an_erased_provider_is_neither_booked_nor_recommended(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    room = await harness.room()
    assert (await bookability(harness, room))["bookable"]
    await erase(harness, "dr-lee")
    await hear(harness, told(ScheduleWithdrawn(provider_id="dr-lee", schedule_version=2), 2))
    found = await bookability(harness, room)
    assert found["next_slots"] == []
    helps = reasons(found)
    assert helps["room-closed"] == "match_new_provider"
    assert set(helps.values()) == {"match_new_provider"}, "nobody is sent to write to a provider who is gone"
    booked = await harness.member.post(
        "/v1/sessions", json=harness.booking_body(room), headers={"Idempotency-Key": new_id()}
    )
    assert (booked.status_code, slug(booked)) == (409, "room-closed")
    again = await harness.member.post(f"/v1/rooms/{room}/restart")
    assert (again.status_code, slug(again)) == (409, "restart-not-allowed")
    assert again.json()["reasons"][0]["remedy"]["action"] == "match_new_provider"


async def test_a_provider_who_comes_back_with_a_schedule_works_again(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    room = await harness.room()
    await erase(harness, "dr-lee")
    await hear(harness, told(ScheduleWithdrawn(provider_id="dr-lee", schedule_version=2), 2))
    await working(harness, version=3)
    assert (await harness.member.post(f"/v1/rooms/{room}/restart")).status_code == 200
    assert (await bookability(harness, room))["bookable"]
