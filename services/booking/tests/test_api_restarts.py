"""Closed and inactive rooms are restarted, or left for another provider (ROOM-1 to ROOM-3)."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest
from makegood_contracts.events import ProviderChanged, RoomRestarted, SessionCancelled
from makegood_contracts.ids import new_id
from makegood_testkit.service import names, slug
from makegood_testkit.waiting import eventually

from .examples import HOUR, NOW, START
from .harness import BookingHarness, Json
from .news import enrolled, hear, schedule, told

DAY = timedelta(days=1)


async def plan(harness: BookingHarness, kind: str) -> None:
    await hear(harness, told(enrolled(new_id(), "plan", date(2026, 11, 1), plan_kind=kind)))


@pytest.mark.rule("ROOM-1")
async def test_a_closed_room_is_restarted_and_once_more_changes_nothing(harness: BookingHarness) -> None:
    await plan(harness, "out_of_pocket")
    await hear(harness, told(schedule()))
    room = await harness.room()
    await harness.member.post(f"/v1/rooms/{room}/close")
    await harness.outbox()
    harness.clock.moment = NOW + HOUR
    answer = await harness.member.post(f"/v1/rooms/{room}/restart")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["id"], body["status"], body["version"]) == (room, "active", 3)
    assert body["last_activity_at"] == "2026-11-23T10:00:00Z"
    (event,) = await harness.outbox()
    assert isinstance(event, RoomRestarted)
    assert (event.key, event.room_version, event.restarted_at) == (room, 3, NOW + HOUR)
    again = await harness.support.post(f"/v1/rooms/{room}/restart", headers={"If-Match": '"3"'})
    assert again.json() == body
    assert await harness.outbox() == []


async def restart_refused(harness: BookingHarness, room: str) -> Json:
    answer = await harness.member.post(f"/v1/rooms/{room}/restart")
    assert (answer.status_code, slug(answer)) == (409, "restart-not-allowed")
    (reason,) = answer.json()["reasons"]
    assert reason["code"] == "restart-not-allowed"
    remedy: Json = reason["remedy"]
    return remedy


@pytest.mark.rule("ROOM-1")
async def test_with_eap_therapy_is_not_restarted_and_the_answer_points_to_more_sessions(
    harness: BookingHarness,
) -> None:
    await plan(harness, "eap")
    await hear(harness, told(schedule()))
    room = await harness.room()
    await harness.member.post(f"/v1/rooms/{room}/close")
    assert await restart_refused(harness, room) == {"action": "get_more_sessions"}
    assert (await harness.member.get(f"/v1/rooms/{room}")).json()["status"] == "closed"


@pytest.mark.rule("ROOM-2")
async def test_with_a_provider_who_is_gone_the_member_is_matched_anew(harness: BookingHarness) -> None:
    room = await harness.room()
    await hear(harness, told(schedule(1, session_types=[])))
    await harness.member.post(f"/v1/rooms/{room}/close")
    wanted = {"action": "match_new_provider", "href": f"/v1/rooms/{room}/change-provider"}
    assert await restart_refused(harness, room) == wanted
    await hear(harness, told(schedule(2, weekly=())))
    assert await restart_refused(harness, room) == wanted


@pytest.mark.rule("ROOM-1")
async def test_where_the_two_have_another_active_room_that_one_is_used(harness: BookingHarness) -> None:
    await hear(harness, told(schedule()))
    room = await harness.room()
    await harness.member.post(f"/v1/rooms/{room}/close")
    other = await harness.room()
    assert await restart_refused(harness, room) == {"action": "use_active_room", "href": f"/v1/rooms/{other}"}


@pytest.mark.rule("ROOM-1")
async def test_of_two_closed_rooms_of_a_pair_that_are_restarted_at_once_one_is(harness: BookingHarness) -> None:
    await plan(harness, "out_of_pocket")
    await hear(harness, told(schedule()))
    rooms = []
    for _ in range(2):
        rooms.append(await harness.room())
        await harness.member.post(f"/v1/rooms/{rooms[-1]}/close")
    await harness.outbox()
    connections = harness.service.database.connections
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
    async with connections.loan() as first, connections.loan() as watch:
        async with first.transaction():
            await first.execute("UPDATE rooms SET status = 'active' WHERE id = $1", rooms[0])
            second = asyncio.create_task(harness.member.post(f"/v1/rooms/{rooms[1]}/restart"))

            async def waits_or_has_ended() -> bool:
                return second.done() or await watch.fetchval(waits) > 0

            await eventually(waits_or_has_ended)
        answer = await second
    assert (answer.status_code, slug(answer)) == (409, "restart-not-allowed"), answer.text
    (reason,) = answer.json()["reasons"]
    assert reason["remedy"] == {"action": "use_active_room", "href": f"/v1/rooms/{rooms[0]}"}
    assert await harness.outbox() == []


@pytest.mark.rule("ROOM-2", "BOOK-7")
async def test_after_25_days_away_the_member_restarts_before_booking_and_is_active_everywhere(
    harness: BookingHarness,
) -> None:
    await hear(harness, told(schedule()))
    room, other = await harness.room(), await harness.room("anna", "dr-kim")

    async def why(room: str) -> list[str]:
        answer = await harness.member.get(f"/v1/rooms/{room}/bookability")
        return [reason["code"] for reason in answer.json()["reasons"] if reason["code"].startswith("room")]

    harness.clock.moment = NOW + 25 * DAY
    assert await why(room) == []
    harness.clock.moment += timedelta(seconds=1)
    assert (await why(room), await why(other)) == (["room-inactive"], ["room-inactive"])
    await harness.outbox()
    answer = await harness.member.post(f"/v1/rooms/{room}/restart")
    assert answer.json()["status"] == "active"
    assert names(await harness.outbox()) == ["RoomRestarted"]
    assert (await why(room), await why(other)) == ([], [])


@pytest.mark.rule("ROOM-2")
@pytest.mark.parametrize(("role", "subject", "seen"), [("member", "anna", True), ("provider", "dr-lee", False)])
async def test_any_change_by_the_member_is_activity_and_none_by_others(
    harness: BookingHarness, role: str, subject: str, seen: bool
) -> None:
    session = await harness.confirmed(NOW + 2 * HOUR)
    room = session["room_id"]
    for minutes, path in ((110, f"/v1/sessions/{session['id']}/join"), (115, f"/v1/rooms/{room}/close")):
        before = (await harness.support.get(f"/v1/rooms/{room}")).json()["last_activity_at"]
        harness.clock.moment = NOW + minutes * HOUR / 60
        assert (await harness.client(role, subject).post(path)).status_code == 200
        after = (await harness.support.get(f"/v1/rooms/{room}")).json()["last_activity_at"]
        assert (after > before) is seen


@pytest.mark.rule("ROOM-3")
async def test_a_change_of_provider_opens_a_room_closes_the_old_one_and_cancels_what_lies_ahead_without_loss(
    harness: BookingHarness,
) -> None:
    soon = await harness.confirmed(NOW + 2 * HOUR)
    reserved = await harness.reserved(START)
    asked = await harness.ask(START + HOUR)
    room = soon["room_id"]
    await harness.works("dr-kim")
    await harness.outbox()
    answer = await harness.member.post(f"/v1/rooms/{room}/change-provider", json={"provider_id": "dr-kim"})
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert (new["member_id"], new["provider_id"], new["status"]) == ("anna", "dr-kim", "active")
    assert answer.headers["location"] == f"/v1/rooms/{new['id']}"
    events = await harness.outbox()
    assert names(events)[:3] == ["RoomOpened", "RoomClosed", "ProviderChanged"]
    left = events[2]
    assert isinstance(left, ProviderChanged)
    assert (left.key, left.new_room_id, left.new_provider_id, left.room_version) == (room, new["id"], "dr-kim", 3)
    cancelled = [event for event in events if isinstance(event, SessionCancelled)]
    assert {event.session_id for event in cancelled} == {soon["id"], reserved["id"], asked["id"]}
    assert {(event.cause, event.forfeits, event.cancelled_by) for event in cancelled} == {
        ("change_of_provider", False, "member")
    }
    assert (await harness.member.get(f"/v1/rooms/{room}")).json()["status"] == "closed"
    again = await harness.member.post(f"/v1/rooms/{room}/change-provider", json={"provider_id": "dr-kim"})
    assert (again.status_code, again.json()["id"]) == (200, new["id"])
    assert await harness.outbox() == []


@pytest.mark.rule("ROOM-3")
async def test_a_session_under_way_and_those_in_other_rooms_go_on(harness: BookingHarness) -> None:
    session = await harness.confirmed(NOW + HOUR)
    await harness.room("anna", "dr-kim")
    harness.clock.moment = NOW + HOUR
    answer = await harness.support.post(
        f"/v1/rooms/{session['room_id']}/change-provider", json={"provider_id": "dr-kim"}
    )
    assert answer.status_code == 200
    assert (await harness.read(session))["status"] == "confirmed"


@pytest.mark.rule("ROOM-3")
async def test_a_booking_that_slipped_in_while_the_room_was_left_is_cancelled_a_minute_later(
    harness: BookingHarness,
) -> None:
    room = await harness.room()
    await harness.works("dr-kim")
    await harness.member.post(f"/v1/rooms/{room}/change-provider", json={"provider_id": "dr-kim"})
    async with harness.service.database.connections.loan() as connection:
        await connection.execute("UPDATE rooms SET status = 'active' WHERE id = $1", room)
        session = await harness.ask(START)
        await connection.execute("UPDATE rooms SET status = 'closed' WHERE id = $1", room)
    await harness.outbox()
    assert names(await harness.advance(NOW + HOUR / 60)) == ["SessionCancelled"]
    assert (await harness.read(session))["status"] == "cancelled"


async def test_who_may_restart_and_change_the_provider_and_with_whom(harness: BookingHarness) -> None:
    room = await harness.room()
    await harness.works("dr-kim")
    for path, body in (("restart", None), ("change-provider", {"provider_id": "dr-kim"})):
        answers = {
            role: (await harness.client(role, subject).post(f"/v1/rooms/{room}/{path}", json=body)).status_code
            for role, subject in (("provider", "dr-lee"), ("ops", "olga"), ("member", "ben"))
        }
        assert answers == {"provider": 403, "ops": 403, "member": 404}
    for provider in ("dr-lee", "anna"):
        answer = await harness.member.post(f"/v1/rooms/{room}/change-provider", json={"provider_id": provider})
        assert (answer.status_code, slug(answer)) == (422, "validation")
    stale = await harness.member.post(
        f"/v1/rooms/{room}/change-provider", json={"provider_id": "dr-kim"}, headers={"If-Match": '"9"'}
    )
    assert slug(stale) == "version-mismatch"
