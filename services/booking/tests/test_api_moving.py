"""Moves over HTTP and topics (RESC)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from makegood_contracts.events import (
    SchedulePublished,
    SessionCancelled,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
)
from makegood_testkit.service import names, slug

from .examples import HOUR, MINUTE, NOW, START
from .harness import Answers, BookingHarness, plain

NEW = START + 24 * HOUR
END = NEW + 30 * MINUTE


async def move(
    person: httpx.AsyncClient, session: Any, starts_at: Any = NEW, *, wait: int = 0, key: str | None = None, **body: Any
) -> httpx.Response:
    headers = {"If-Match": f'"{session["version"]}"'}
    if wait:
        headers["Prefer"] = f"wait={wait}"
    if key:
        headers["Idempotency-Key"] = key
    return await person.post(
        f"/v1/sessions/{session['id']}/reschedule", json={"starts_at": starts_at.isoformat(), **body}, headers=headers
    )


async def moved(
    harness: BookingHarness, person: httpx.AsyncClient, session: Any, starts_at: Any = NEW, **body: Any
) -> Any:
    """The session after a move that everybody agreed to."""
    await harness.outbox()
    assert (await move(person, session, starts_at, **body)).status_code == 202
    asked = await harness.wait_for(SessionMoveRequested)
    await harness.handle(Answers.move_held(session, asked.move_id))
    await harness.handle(Answers.slot_moved(session, asked.move_id, asked.new_starts_at, asked.new_ends_at))
    return await harness.read(session)


@pytest.mark.rule("RESC-1")
async def test_a_move_is_pending_until_credit_and_slot_are_there(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    answer = await move(harness.member, session, length_minutes=45)
    pending = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/sessions/{session['id']}")
    assert pending["move"] == {
        "starts_at": "2026-11-28T09:00:00Z",
        "ends_at": "2026-11-28T09:45:00Z",
        "length_minutes": 45,
        "venue_id": None,
        "state": "pending",
        "reason": None,
    }
    kept = ("status", "starts_at", "ends_at", "local_start", "confirm_by")
    assert [pending[name] for name in kept] == [session[name] for name in kept]
    (asked,) = await harness.outbox()
    assert isinstance(asked, SessionMoveRequested)
    second = await move(harness.provider, pending, NEW + HOUR)
    assert (second.status_code, slug(second), second.headers["retry-after"]) == (409, "move-pending", "1")
    await harness.handle(Answers.move_held(session, asked.move_id))
    (funded,) = await harness.outbox()
    assert isinstance(funded, SessionMoveFunded)
    assert (await harness.read(session))["starts_at"] == session["starts_at"]
    await harness.handle(Answers.slot_moved(session, asked.move_id, NEW, NEW + 45 * MINUTE))
    (event,) = await harness.outbox()
    assert isinstance(event, SessionMoved)
    after = await harness.read(session)
    assert (after["starts_at"], after["local_start"], after["length_minutes"], after["status"], after["move"]) == (
        "2026-11-28T09:00:00Z",
        "2026-11-28T10:00",
        45,
        "reserved",
        None,
    )
    listed = (await harness.member.get("/v1/sessions", params={"from": NEW.isoformat()})).json()["items"]
    assert [item["id"] for item in listed] == [session["id"]]
    items = (await harness.provider.get(f"/v1/sessions/{session['id']}/history")).json()["items"]
    assert [(item["type"], item["by"], item["detail"]) for item in items[3:]] == [
        ("SessionMoveRequested", "member", "to 2026-11-28T10:00"),
        ("SessionMoveFunded", "system", None),
        ("SessionMoved", "member", "from 2026-11-27T10:00"),
    ]
    assert after["version"] == len(items)


@pytest.mark.rule("RESC-1", "CONF-2")
async def test_the_moved_session_has_its_deadlines_at_the_new_time(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    await moved(harness, harness.member, session)
    assert names(await harness.advance(NEW - 24 * HOUR)) == ["SessionExpired"]


@pytest.mark.rule("RESC-1", "MISS-1")
async def test_a_session_that_was_moved_away_is_not_missed_where_it_was(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    await moved(harness, harness.provider, session)
    assert names(await harness.advance(START + HOUR)) == ["ReconfirmationAsked"]
    assert names(await harness.advance(NEW + 10 * MINUTE)) == ["ProviderMissed"]


@pytest.mark.rule("RESC-1")
async def test_with_prefer_wait_the_answer_is_the_moved_session_and_repeats_get_it_again(
    harness: BookingHarness,
) -> None:
    session = await harness.confirmed()
    asking = asyncio.create_task(move(harness.provider, session, wait=10, key="k", notify_member=False))
    asked = await harness.wait_for(SessionMoveRequested)
    await harness.handle(Answers.move_held(session, asked.move_id))
    await harness.handle(Answers.slot_moved(session, asked.move_id, NEW, END))
    answer = await asking
    assert (answer.status_code, answer.json()["starts_at"], answer.json()["status"]) == (
        200,
        "2026-11-28T09:00:00Z",
        "confirmed",
    )
    event = await harness.wait_for(SessionMoved)
    assert (event.notify_member, event.confirmed, event.moved_by) == (False, True, "provider")
    again = await move(harness.provider, session, wait=10, key="k", notify_member=False)
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (200, answer.json(), "true")


@pytest.mark.rule("RESC-1", "RESC-2")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("slot-taken", "Provider is not available"),
        ("slot-not-offered", "Provider is not available"),
        ("venue-taken", "Venue is not available"),
        ("member-busy", "Member is not available"),
    ],
)
async def test_a_move_that_availability_refuses_answers_in_the_known_words(
    harness: BookingHarness, code: str, message: str | None
) -> None:
    session = await harness.confirmed()
    asking = asyncio.create_task(move(harness.provider, session, wait=10))
    asked = await harness.wait_for(SessionMoveRequested)
    await harness.handle(Answers.move_held(session, asked.move_id))
    await harness.handle(Answers.slot_stays(session, asked.move_id, code))
    answer = await asking
    assert (answer.status_code, slug(answer), answer.json().get("message")) == (409, code, message)
    assert [reason["code"] for reason in answer.json()["reasons"]] == [code]
    after = await harness.read(session)
    assert (after["move"]["state"], after["move"]["reason"]) == ("refused", code)
    assert {**after, "move": None, "version": 0} == {**session, "version": 0}


@pytest.mark.rule("RESC-1")
async def test_a_move_without_a_credit_for_it_is_refused_and_says_whether_one_can_be_bought(
    harness: BookingHarness,
) -> None:
    session = await harness.confirmed()
    harness.clock.moment = START - HOUR
    refused = await move(harness.member, session)
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    assert refused.json()["policy"]["forfeits_now"] is True
    asking = asyncio.create_task(move(harness.member, session, wait=10, accept_forfeit=True))
    asked = await harness.wait_for(SessionMoveRequested)
    assert asked.forfeits is True
    await harness.handle(Answers.move_unpaid(session, asked.move_id, purchasable=True))
    answer = await asking
    assert (answer.status_code, slug(answer), answer.json()["purchasable"]) == (409, "no-session-credits", True)
    assert (await harness.read(session))["starts_at"] == session["starts_at"]


@pytest.mark.rule("RESC-1")
async def test_a_move_that_nobody_pays_for_in_time_is_off(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    await move(harness.member, session)
    assert names(await harness.advance(NOW + 5 * MINUTE - timedelta(seconds=1))) == []
    (event,) = await harness.advance(NOW + 5 * MINUTE)
    assert isinstance(event, SessionMoveRefused)
    await harness.handle(Answers.move_held(session, event.move_id))
    assert await harness.outbox() == []
    assert (await harness.read(session))["move"]["reason"] == "temporary-interruption"


@pytest.mark.rule("RESC-1", "CANC-1")
async def test_who_waits_for_a_move_hears_at_once_that_the_session_was_cancelled(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    asking = asyncio.create_task(move(harness.provider, session, wait=10))
    asked = await harness.wait_for(SessionMoveRequested)
    await harness.handle(Answers.move_held(session, asked.move_id))
    assert (await harness.member.post(f"/v1/sessions/{session['id']}/cancel")).status_code == 202
    answer = await asking
    assert (answer.status_code, slug(answer)) == (409, "session-over")
    await harness.outbox()
    await harness.handle(Answers.slot_moved(session, asked.move_id, NEW, END))
    assert await harness.outbox() == []
    after = await harness.read(session)
    assert (after["status"], after["starts_at"], after["move"]) == ("cancelled", session["starts_at"], None)


@pytest.mark.rule("RESC-3")
async def test_after_a_providers_move_the_policy_says_that_nothing_is_lost(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    after = await moved(harness, harness.provider, session)
    harness.clock.moment = NEW - HOUR
    policy = (await harness.member.get(f"/v1/sessions/{session['id']}/policy")).json()
    assert (policy["forfeits_now"], policy["free_until"]) == (False, after["starts_at"])
    answer = await harness.member.post(f"/v1/sessions/{session['id']}/cancel")
    assert answer.status_code == 202
    assert (await harness.wait_for(SessionCancelled)).forfeits is False


@pytest.mark.rule("RESC-1", "CRED-3")
async def test_what_a_move_does_to_the_old_hold_is_not_the_end_of_the_sessions_credit(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    harness.clock.moment = START - HOUR
    after = await moved(harness, harness.member, session, accept_forfeit=True)
    await harness.handle(Answers.credit_forfeited(session, "moved"))
    assert (await harness.read(session))["credit"] == {"state": "held"}
    assert after["status"] == "reserved"


@pytest.mark.rule("CANC-4")
async def test_support_moves_nothing(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    answer = await move(harness.support, session)
    assert (answer.status_code, slug(answer)) == (403, "support-may-not")
    other = await move(harness.client("ops", "olga"), session)
    assert (other.status_code, slug(other)) == (403, "forbidden")
    assert await harness.read(session) == session


@pytest.mark.rule("RESC-1", "EXT-1")
async def test_a_change_of_time_needs_the_version_it_changes(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for action, body in (
        ("reschedule", {"starts_at": NEW.isoformat()}),
        ("extend", {"ends_at": (START + HOUR).isoformat()}),
    ):
        without = await harness.provider.post(f"{path}/{action}", json=body)
        assert (without.status_code, slug(without)) == (428, "version-required")
        stale = await harness.provider.post(f"{path}/{action}", json=body, headers={"If-Match": '"2"'})
        assert (stale.status_code, slug(stale)) == (412, "version-mismatch")
    assert await harness.outbox() == []


@pytest.mark.rule("RESC-1")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"starts_at": "2026-11-28T09:00:00"},
        {"starts_at": NOW.isoformat()},
        {"starts_at": NEW.isoformat(), "length_minutes": 4},
        {"starts_at": NEW.isoformat(), "length_minutes": "45"},
        {"starts_at": NEW.isoformat(), "time_zone": "Mars/Olympus"},
        {"starts_at": NEW.isoformat(), "venue_id": "kitchen"},
        {"starts_at": NEW.isoformat(), "venue_id": "0193f5b5-0000-7000-8000-00000000abcd"},
        {"starts_at": NEW.isoformat(), "modality": "audio"},
        {"starts_at": NEW.isoformat(), "notify_member": "no"},
    ],
)
async def test_a_bad_move_is_refused(harness: BookingHarness, body: Any) -> None:
    session = await harness.confirmed()
    answer = await harness.member.post(
        f"/v1/sessions/{session['id']}/reschedule", json=body, headers={"If-Match": f'"{session["version"]}"'}
    )
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert await harness.read(session) == session


@pytest.mark.rule("RESC-1")
async def test_a_venue_moves_alone(harness: BookingHarness) -> None:
    old, new = "0193f5b5-0000-7000-8000-00000000abcd", "0193f5b5-0000-7000-8000-00000000abce"
    session = await harness.confirmed(modality="in_person", venue_id=old)
    after = await moved(harness, harness.provider, session, START, venue_id=new)
    assert (after["venue_id"], after["starts_at"], after["status"]) == (new, session["starts_at"], "confirmed")
    assert (await harness.wait_for(SessionMoved)).old_venue_id == old


@pytest.mark.rule("RESC-5")
@pytest.mark.parametrize("wait", [0, 5])
async def test_a_change_of_zone_alone_is_done_at_once(harness: BookingHarness, wait: int) -> None:
    booked = await harness.confirmed()
    await harness.advance(START - MINUTE)
    session = await harness.read(booked)
    answer = await move(harness.member, session, START, wait=wait, time_zone="Asia/Kolkata")
    assert answer.status_code == 200, answer.text
    shown = {"time_zone": "Asia/Kolkata", "local_start": "2026-11-27T14:30", "version": session["version"] + 1}
    untold = {"actions": None}
    assert {**answer.json(), **untold} == {**session, **shown, **untold}
    assert {**await harness.read(session), **untold} == {**answer.json(), **untold}
    assert names(await harness.outbox()) == ["SessionZoneChanged"]
    (*_, last) = (await harness.member.get(f"/v1/sessions/{session['id']}/history")).json()["items"]
    assert (last["type"], last["by"], last["detail"]) == (
        "SessionZoneChanged",
        "member",
        "Asia/Kolkata instead of Europe/Berlin",
    )


@pytest.mark.rule("RESC-2")
async def test_a_quiet_move_at_short_notice_is_refused_clearly(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    harness.clock.moment = START - HOUR
    refused = await move(harness.provider, session, NEW, notify_member=False)
    assert (refused.status_code, slug(refused)) == (409, "member-must-be-told")
    assert [reason["code"] for reason in refused.json()["reasons"]] == ["member-must-be-told"]
    assert await harness.read(session) == session


@pytest.mark.rule("RESC-1")
async def test_a_move_to_where_the_session_is_changes_nothing(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    for wait in (0, 5):
        answer = await move(harness.member, session, START, wait=wait)
        assert (answer.status_code, plain(answer.json())) == (200, session)
    assert await harness.outbox() == []


@pytest.mark.rule("RESC-1", "PLAN-1")
async def test_a_move_names_the_specialty_that_decides_about_lengths(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    await harness.handle(
        SchedulePublished(
            provider_id="dr-lee",
            schedule_version=1,
            time_zone="Europe/Berlin",
            specialty="psychiatry",
            session_types=[],
            minimum_notice_minutes=0,
            horizon_days=60,
        )
    )
    await move(harness.member, session)
    assert (await harness.wait_for(SessionMoveRequested)).specialty == "psychiatry"
