"""Why can't I book? The causes of the source page, one after the other, each with the remedy that the page names (BOOK-7, BOOK-8).

Whatever `bookability` says, booking itself is asked right after, and says the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform

pytestmark = pytest.mark.rule("BOOK-7", "BOOK-8")

DAY = timedelta(days=1)
COMPLETES = timedelta(minutes=1)


async def ask(cast: Cast, **asked: Any) -> dict[str, Any]:
    return dict((await cast.member.get(f"/v1/rooms/{cast.room_id}/bookability", **asked)).body)


def named(found: dict[str, Any]) -> dict[str, str]:
    """Code → action of its remedy."""
    return {reason["code"]: reason["remedy"]["action"] for reason in found["reasons"]}


async def says(cast: Cast, **wanted: str) -> dict[str, Any]:
    """What bookability answers, once it names just these (code, with _ for -, = action)."""
    reasons = {code.replace("_", "-"): action for code, action in wanted.items()}
    found = await cast.eventually(lambda: ask(cast), lambda seen: named(seen) == reasons)
    assert found["bookable"] is (not reasons)
    return dict(found)


async def is_refused(cast: Cast, *codes: str, notice: timedelta = timedelta(days=3)) -> dict[str, Any]:
    """The problem of a booking that these reasons forbid; nothing is held afterwards."""
    before = await cast.credits()
    with pytest.raises(Refused) as refusal:
        await cast.book(notice)
    assert refusal.value.status == 409
    assert {reason["code"] for reason in refusal.value.problem["reasons"]} == set(codes)
    assert refusal.value.slug == refusal.value.problem["reasons"][0]["code"]
    after = await cast.balance(available=before["available"], held=before["held"])
    assert after == before
    return refusal.value.problem


async def gone(cast: Cast) -> None:
    """The provider publishes that they work no more."""
    types = [{"length_minutes": cast.length, "modalities": [cast.modality]}]
    body = {"time_zone": "UTC", "weekly": [], "session_types": types}
    await cast.provider.put(f"/v1/providers/{cast.provider.subject}/schedule", body)


async def can_book(cast: Cast, found: dict[str, Any]) -> dict[str, Any]:
    """Books the first slot that bookability offers."""
    start = datetime.fromisoformat(found["next_slots"][0]["starts_at"])
    answer = await cast.member.post("/v1/sessions", cast.booking_body(start), wait=15)
    assert answer["status"] == "reserved"
    return dict(answer.body)


async def test_nothing_in_the_way_the_first_slot_that_is_offered_can_be_booked(cast: Cast) -> None:
    """ "Technical difficulties" of a browser are none of ours: the API says that the session can be booked, and it can."""
    found = await says(cast)
    assert (found["length_minutes"], found["modality"]) == (cast.length, cast.modality)
    assert len(found["next_slots"]) == 5
    await can_book(cast, found)
    again = await cast.eventually(
        lambda: ask(cast), lambda seen: seen["next_slots"][0]["starts_at"] > found["next_slots"][0]["starts_at"]
    )
    assert named(again) == {}


@pytest.mark.rule("ROOM-1")
async def test_a_closed_room_is_restarted(cast: Cast) -> None:
    await says(cast)
    await cast.member.post(f"/v1/rooms/{cast.room_id}/close")
    found = await says(cast, room_closed="restart_therapy")
    assert found["next_slots"] == []
    problem = await is_refused(cast, "room-closed")
    assert problem["reasons"][0]["remedy"]["action"] == "restart_therapy"
    (reason,) = found["reasons"]
    restarted = await cast.member.post(reason["remedy"]["href"])
    assert (restarted["id"], restarted["status"]) == (cast.room_id, "active")
    await can_book(cast, await says(cast))


@pytest.mark.rule("ROOM-1")
async def test_under_an_employee_assistance_program_therapy_is_restarted_while_sessions_are_left(
    platform: Platform,
) -> None:
    cast = await platform.cast(plan="eap-6", length=45)
    await says(cast)
    await cast.member.post(f"/v1/rooms/{cast.room_id}/close")
    await says(cast, room_closed="restart_therapy")
    await cast.member.post(f"/v1/rooms/{cast.room_id}/restart")
    taken = {"amount": -6, "length_minutes": 45, "reason": "All of them were used elsewhere."}
    await cast.support.post(f"/v1/members/{cast.member.subject}/adjustments", taken)
    await says(cast, no_session_credits="get_more_sessions")
    await cast.member.post(f"/v1/rooms/{cast.room_id}/close")
    await says(cast, room_closed="get_more_sessions", no_session_credits="get_more_sessions")
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"/v1/rooms/{cast.room_id}/restart")
    assert (refusal.value.status, refusal.value.slug) == (409, "restart-not-allowed")
    assert refusal.value.problem["reasons"][0]["remedy"]["action"] == "get_more_sessions"


@pytest.mark.parametrize(
    ("plan", "length", "action"),
    [
        ("insurance-credits", 45, "renew_insurance_coverage"),
        ("eap-6", 45, "get_more_sessions"),
        ("sponsored-12", 45, "renew_sponsored_benefits"),
        ("out-of-pocket-4", 30, "renew_plan"),
    ],
)
async def test_coverage_that_ended_is_renewed_as_its_kind_asks(
    platform: Platform, plan: str, length: int, action: str
) -> None:
    """Where the source page knows "Sorry, something went wrong 500"."""
    cast = await platform.cast(plan=plan, length=length, ends_in=timedelta(days=1))
    await says(cast)
    await platform.advance(timedelta(days=2))
    await says(cast, coverage_ended=action)
    problem = await is_refused(cast, "coverage-ended")
    assert problem["reasons"][0]["remedy"]["action"] == action


@pytest.mark.rule("ROOM-2")
async def test_after_twenty_five_days_away_the_member_restarts_with_the_same_provider(platform: Platform) -> None:
    cast = await platform.cast(plan="sponsored-12", length=45)
    await says(cast)
    await platform.advance(25 * DAY - timedelta(hours=1))
    await says(cast)
    await platform.advance(timedelta(hours=2))
    found = await says(cast, room_inactive="restart_therapy")
    await is_refused(cast, "room-inactive")
    await cast.member.post(found["reasons"][0]["remedy"]["href"])
    await can_book(cast, await says(cast))


@pytest.mark.rule("ROOM-2", "ROOM-4")
async def test_a_message_is_a_sign_of_life(platform: Platform) -> None:
    cast = await platform.cast(plan="sponsored-12", length=45)
    await platform.advance(20 * DAY)
    await cast.member.post(f"/v1/rooms/{cast.room_id}/messages", {"text": "I am still here."})
    await platform.advance(20 * DAY)
    await says(cast)
    await can_book(cast, await ask(cast))


@pytest.mark.rule("ROOM-2", "ROOM-3")
async def test_a_provider_who_is_gone_is_left_for_another(platform: Platform) -> None:
    cast = await platform.cast(plan="sponsored-12", length=45)
    await platform.advance(26 * DAY)
    await gone(cast)
    found = await says(cast, room_inactive="match_new_provider", provider_unavailable="match_new_provider")
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"/v1/rooms/{cast.room_id}/restart")
    assert refusal.value.problem["reasons"][0]["remedy"]["action"] == "match_new_provider"
    href = next(reason["remedy"]["href"] for reason in found["reasons"] if reason["code"] == "room-inactive")
    other = await platform.cast(plan=None, length=45)
    room = await cast.member.post(href, {"provider_id": other.provider.subject})
    assert room["id"] != cast.room_id
    cast.room_id, cast.provider = room["id"], other.provider
    await can_book(cast, await says(cast))


@pytest.mark.rule("CRED-7")
async def test_an_overdue_invoice_is_paid_first(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-copay", length=45)
    session = await cast.confirmed(DAY)
    await platform.advance_to(datetime.fromisoformat(session["starts_at"]) - timedelta(minutes=1))
    for person in (cast.member, cast.provider):
        await person.post(f"/v1/sessions/{session['id']}/join")
    await platform.advance_to(datetime.fromisoformat(session["ends_at"]) + COMPLETES)
    await cast.settled(session, "completed", "none")
    await says(cast)
    await platform.advance(40 * DAY)
    await cast.member.post(f"/v1/rooms/{cast.room_id}/restart")
    found = await says(cast, outstanding_charges="pay_balance")
    await is_refused(cast, "outstanding-charges")
    (invoice,) = (await cast.member.get(found["reasons"][0]["remedy"]["href"]))["items"]
    assert (invoice["status"], invoice["session_id"]) == ("overdue", session["id"])


async def test_a_plan_without_live_sessions_is_changed(platform: Platform) -> None:
    cast = await platform.cast(plan="messaging-only")
    await says(cast, plan_excludes_live_sessions="change_plan")
    await is_refused(cast, "plan-excludes-live-sessions")


@pytest.mark.rule("BOOK-4")
@pytest.mark.parametrize(
    ("plan", "length", "credits", "action"),
    [("out-of-pocket-4", 30, 4, "buy_credit"), ("eap-6", 45, 6, "get_more_sessions")],
)
async def test_with_no_credit_left_one_is_bought_where_the_plan_allows_it(
    platform: Platform, plan: str, length: int, credits: int, action: str
) -> None:
    cast = await platform.cast(plan=plan, length=length)
    for day in range(credits):
        await cast.book(timedelta(days=3 + day))
    found = await says(cast, no_session_credits=action)
    assert found["can_purchase"] is (action == "buy_credit")
    await is_refused(cast, "no-session-credits", notice=timedelta(days=12))


async def test_a_provider_without_time_is_written_to(platform: Platform) -> None:
    """The provider offers another length than the plan's."""
    cast = await platform.cast(schedule={"session_types": [{"length_minutes": 50, "modalities": ["video"]}]})
    found = await says(cast, provider_unavailable="message_provider")
    assert found["reasons"][0]["remedy"]["href"] == f"/v1/rooms/{cast.room_id}/time-request"
    await is_refused(cast, "slot-not-offered")


async def test_every_reason_is_named_at_once(platform: Platform) -> None:
    cast = await platform.cast(plan="eap-6", length=45, ends_in=DAY)
    await gone(cast)
    await cast.member.post(f"/v1/rooms/{cast.room_id}/close")
    await platform.advance(26 * DAY)
    found = await says(
        cast,
        room_closed="get_more_sessions",
        room_inactive="get_more_sessions",
        coverage_ended="get_more_sessions",
        provider_unavailable="match_new_provider",
    )
    assert found["next_slots"] == []


async def test_what_cannot_be_found_out_is_an_interruption_and_never_a_500(platform: Platform, cast: Cast) -> None:
    await says(cast)
    connection = await asyncpg.connect(platform.stack.database_url("booking", "owner"))
    try:
        await connection.execute("ALTER TABLE enrolments RENAME TO enrolments_away")
        try:
            found = await ask(cast)
        finally:
            await connection.execute("ALTER TABLE enrolments_away RENAME TO enrolments")
    finally:
        await connection.close()
    assert named(found) == {"temporary-interruption": "try_again_later"}
    await can_book(cast, await says(cast))


async def test_one_wish_in_particular_can_be_asked_about(cast: Cast) -> None:
    taken = await cast.book(timedelta(days=3))
    found = await cast.eventually(
        lambda: ask(cast, starts_at=taken["starts_at"]), lambda seen: "slot-taken" in named(seen)
    )
    assert set(named(found)) == {"slot-taken", "member-busy"}
    problem = await is_refused(cast, "slot-taken", "member-busy", notice=timedelta(days=3) - timedelta(minutes=15))
    assert {reason["code"] for reason in problem["reasons"]} == set(named(found))
