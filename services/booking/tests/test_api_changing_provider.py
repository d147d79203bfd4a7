"""A room needs a provider who has a schedule (ROOM-1), and changing the provider does not evade the notice (ROOM-3)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from makegood_booking.handlers.waiters import schedule_key
from makegood_contracts.events import ProviderChanged, RoomClosed, SessionCancelled
from makegood_contracts.ids import new_id
from makegood_testkit.service import slug
from makegood_testkit.waiting import eventually

from .examples import HOUR, MINUTE, NOW
from .harness import Answers, BookingHarness, first_schedule
from .news import hear, schedule, told

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
MISTYPED = "dr-kym"


def waits_for_schedules(harness: BookingHarness, seconds: float) -> None:
    harness.service.dependencies = replace(harness.dependencies, schedule_patience=seconds)


@pytest.fixture
def impatient(harness: BookingHarness) -> None:
    waits_for_schedules(harness, 0.05)


async def change(person: httpx.AsyncClient, room: str, provider: str, **body: Any) -> httpx.Response:
    return await person.post(f"/v1/rooms/{room}/change-provider", json={"provider_id": provider, **body})


async def cancelled(harness: BookingHarness) -> list[tuple[str, bool]]:
    return [
        (event.session_id, event.forfeits) for event in await harness.outbox() if isinstance(event, SessionCancelled)
    ]


async def cooled_off(harness: BookingHarness, starts_in: timedelta) -> Any:
    """A confirmed session, some time after its booking."""
    session = await harness.confirmed(harness.clock.moment + starts_in)
    harness.clock.moment += 16 * MINUTE
    await harness.outbox()
    return session


@pytest.mark.rule("ROOM-3")
@pytest.mark.usefixtures("impatient")
async def test_a_mistyped_provider_closes_no_room_and_cancels_nothing(harness: BookingHarness) -> None:
    session = await harness.confirmed(NOW + 2 * HOUR)
    room = session["room_id"]
    for person in (harness.member, harness.support):
        answer = await change(person, room, MISTYPED)
        assert (answer.status_code, slug(answer)) == (409, "provider-unavailable")
        assert [reason["code"] for reason in answer.json()["reasons"]] == ["provider-unavailable"]
    assert (await harness.member.get(f"/v1/rooms/{room}")).json()["status"] == "active"
    assert await harness.read(session) == session
    assert await harness.outbox() == []


@pytest.mark.rule("ROOM-1")
@pytest.mark.usefixtures("impatient")
async def test_a_room_needs_a_provider_who_has_a_schedule(harness: BookingHarness) -> None:
    body = {"member_id": "anna", "provider_id": MISTYPED}
    refused = await harness.support.post("/v1/rooms", json=body)
    assert (refused.status_code, slug(refused)) == (409, "provider-unavailable")
    await hear(harness, told(schedule(1, provider_id=MISTYPED, session_types=[])))
    assert (await harness.support.post("/v1/rooms", json=body)).status_code == 409, "it offers nothing"
    await hear(harness, told(schedule(2, provider_id=MISTYPED)))
    assert (await harness.support.post("/v1/rooms", json=body)).status_code == 201


@pytest.mark.rule("ROOM-1", "ROOM-3")
async def test_a_schedule_that_was_published_a_moment_ago_is_waited_for(harness: BookingHarness) -> None:
    opening = asyncio.create_task(
        harness.support.post("/v1/rooms", json={"member_id": "anna", "provider_id": "dr-lee"})
    )
    await eventually(lambda: harness.dependencies.signals.is_awaited(schedule_key("dr-lee")))
    await harness.handle(first_schedule("dr-lee"))
    opened = await opening
    assert opened.status_code == 201, opened.text
    changing = asyncio.create_task(change(harness.member, opened.json()["id"], "dr-kim"))
    await eventually(lambda: harness.dependencies.signals.is_awaited(schedule_key("dr-kim")))
    await harness.handle(first_schedule("dr-kim"))
    assert (await changing).status_code == 201


@pytest.mark.rule("ROOM-3")
async def test_what_is_refused_anyway_waits_for_nobodys_schedule(harness: BookingHarness) -> None:
    waits_for_schedules(harness, 600.0)
    room = await harness.room()
    await hear(harness, told(schedule(1, provider_id="dr-kim", session_types=[])))
    async with asyncio.timeout(10):
        assert (await change(harness.member, new_id(), MISTYPED)).status_code == 404
        assert (await change(harness.client("member", "bob"), room, MISTYPED)).status_code == 404
        assert (await change(harness.member, room, "dr-lee")).status_code == 422
        gone = await change(harness.member, room, "dr-kim")
    assert (gone.status_code, slug(gone)) == (409, "provider-unavailable"), "heard of, and offers nothing"


@pytest.mark.rule("ROOM-3", "CANC-1")
async def test_changing_there_and_back_does_not_evade_the_notice(harness: BookingHarness) -> None:
    await harness.works("dr-kim")
    first = await cooled_off(harness, 5 * HOUR)
    other = await change(harness.member, first["room_id"], "dr-kim")
    assert other.status_code == 201, other.text
    assert await cancelled(harness) == [(first["id"], False)], "free the first time"
    back = await change(harness.member, other.json()["id"], "dr-lee")
    assert (back.status_code, await cancelled(harness)) == (201, []), "nothing ahead, nothing to lose"
    late, early = await cooled_off(harness, 5 * HOUR), await harness.confirmed(NOW + 5 * DAY)
    assert late["room_id"] == back.json()["id"]
    harness.clock.moment += 16 * MINUTE
    await harness.outbox()
    refused = await change(harness.member, late["room_id"], "dr-kim")
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    told_of = refused.json()
    assert told_of["policy"]["forfeits_now"] is True
    assert [item["session_id"] for item in told_of["sessions"]] == [late["id"]]
    assert (await harness.read(late))["status"] == "confirmed"
    assert (await harness.member.get(f"/v1/rooms/{late['room_id']}")).json()["status"] == "active"
    assert await harness.outbox() == []
    accepted = await change(harness.member, late["room_id"], "dr-kim", accept_forfeit=True)
    assert accepted.status_code == 201
    assert sorted(await cancelled(harness)) == sorted([(late["id"], True), (early["id"], False)])
    items = (await harness.member.get(f"/v1/sessions/{late['id']}/history")).json()["items"]
    assert items[-1]["detail"] == "credit forfeited (change of provider)"


@pytest.mark.rule("ROOM-3")
@pytest.mark.parametrize(("days", "free"), [(30 * DAY - MINUTE, False), (30 * DAY, True)])
async def test_it_is_free_again_after_30_days(harness: BookingHarness, days: timedelta, free: bool) -> None:
    await harness.works("dr-kim")
    first = await cooled_off(harness, 5 * HOUR)
    at = harness.clock.moment
    other = (await change(harness.member, first["room_id"], "dr-kim")).json()["id"]
    await change(harness.member, other, "dr-lee")
    harness.clock.moment = at + days - 16 * MINUTE
    late = await _restarted(harness, await harness.room())
    again = await change(harness.member, late["room_id"], "dr-kim")
    assert harness.clock.moment == at + days
    assert again.status_code == (201 if free else 409), again.text


async def _used_up(harness: BookingHarness) -> str:
    """A room of a member who has just changed the provider for free, in spite of the notice."""
    await harness.works("dr-kim")
    first = await cooled_off(harness, 5 * HOUR)
    other = (await change(harness.member, first["room_id"], "dr-kim")).json()["id"]
    return str((await change(harness.member, other, "dr-lee")).json()["id"])


@pytest.mark.rule("ROOM-3", "CANC-1")
@pytest.mark.parametrize(("notice", "free"), [(48 * HOUR, True), (48 * HOUR - TICK, False)])
async def test_what_is_within_the_notice_is_said_as_of_cancelling(
    harness: BookingHarness, notice: timedelta, free: bool
) -> None:
    room = await _used_up(harness)
    session = await harness.confirmed(NOW + 5 * DAY)
    harness.clock.moment = NOW + 5 * DAY - notice
    assert (await change(harness.member, room, "dr-kim")).status_code == (201 if free else 409)
    assert (await harness.read(session))["status"] == ("cancelled" if free else "confirmed")


@pytest.mark.rule("ROOM-3")
async def test_what_has_expired_costs_nothing_though_nobody_noticed_yet(harness: BookingHarness) -> None:
    room = await _used_up(harness)
    session = await harness.reserved(NOW + 5 * DAY)
    harness.clock.moment = NOW + 4 * DAY  # its time to be confirmed is over
    answer = await change(harness.member, room, "dr-kim")
    assert answer.status_code == 201, answer.text
    assert (await harness.read(session))["status"] == "expired"


@pytest.mark.rule("ROOM-3")
async def test_what_costs_nothing_to_cancel_does_not_use_up_the_free_change(harness: BookingHarness) -> None:
    """A change with sessions that are far enough ahead, or just booked, is no use of it."""
    await harness.works("dr-kim")
    just_booked = await harness.confirmed(NOW + 5 * HOUR)
    other = (await change(harness.member, just_booked["room_id"], "dr-kim")).json()["id"]
    room = (await change(harness.member, other, "dr-lee")).json()["id"]
    await harness.outbox()
    second = await cooled_off(harness, 5 * HOUR)
    assert second["room_id"] == room
    assert (await change(harness.member, room, "dr-kim")).status_code == 201
    assert await cancelled(harness) == [(second["id"], False)]


@pytest.mark.rule("ROOM-3", "CANC-1", "CANC-4")
async def test_support_is_no_way_round_the_notice(harness: BookingHarness) -> None:
    """What support changes counts as the member's change, and what is forfeited by it the member gives up."""
    await harness.works("dr-kim")
    first = await cooled_off(harness, 5 * HOUR)
    other = await change(harness.support, first["room_id"], "dr-kim")
    told = {type(event): cast("Any", event) for event in await harness.outbox()}
    closed, left, ended = told[RoomClosed], told[ProviderChanged], told[SessionCancelled]
    assert (closed.closed_by, left.new_room_id) == ("support", other.json()["id"])
    assert (ended.forfeits, ended.cancelled_by) == (False, "system"), "free the first time"
    back = await change(harness.member, other.json()["id"], "dr-lee")
    late, early = await cooled_off(harness, 5 * HOUR), await harness.confirmed(NOW + 5 * DAY)
    harness.clock.moment += 16 * MINUTE
    await harness.outbox()
    for person in (harness.member, harness.support):
        refused = await change(person, back.json()["id"], "dr-kim")
        assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    assert await harness.outbox() == []
    accepted = await change(harness.support, back.json()["id"], "dr-kim", accept_forfeit=True)
    assert accepted.status_code == 201
    events = [event for event in await harness.outbox() if isinstance(event, SessionCancelled)]
    assert {event.session_id: (event.forfeits, event.cancelled_by) for event in events} == {
        late["id"]: (True, "member"),
        early["id"]: (False, "system"),
    }


@pytest.mark.rule("ROOM-3")
async def test_of_two_changes_at_once_one_is_free(harness: BookingHarness) -> None:
    for provider in ("dr-kim", "dr-roe"):
        await harness.works(provider)
    rooms = [await harness.room("anna", provider) for provider in ("dr-lee", "dr-kim")]
    for number, room in enumerate(rooms):
        answer = await harness.member.post(
            "/v1/sessions",
            json=harness.booking_body(room, NOW + (5 + number) * HOUR),
            headers={"Idempotency-Key": room},
        )
        session = answer.json()
        await _decide(harness, session)
    harness.clock.moment += 16 * MINUTE
    answers = await asyncio.gather(*(change(harness.member, room, "dr-roe") for room in rooms))
    assert sorted(answer.status_code for answer in answers)[1] == 409
    assert sorted(forfeits for _, forfeits in await cancelled(harness)) == [False]


async def _decide(harness: BookingHarness, session: Any) -> None:
    await harness.handle(Answers.slot_held(session))
    await harness.handle(Answers.credit_held(session))
    provider = harness.client("provider", session["provider_id"])
    assert (await provider.post(f"/v1/sessions/{session['id']}/confirm")).status_code == 200


async def _restarted(harness: BookingHarness, room: str) -> Any:
    """A session in the room of a member who had been away."""
    assert (await harness.member.post(f"/v1/rooms/{room}/restart")).status_code == 200
    return await cooled_off(harness, 5 * HOUR)
