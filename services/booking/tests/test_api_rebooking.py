"""What the provider missed is booked again: in a room that others closed, on a plan that is over (MISS-4)."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
from makegood_booking.metrics import REFUSALS
from makegood_contracts.events import CreditReturned, MemberEnrolled, SessionType
from makegood_contracts.ids import new_id
from makegood_testkit.service import names

from .asking import DAY, codes, eap, rebook, working
from .examples import HOUR, MINUTE, START
from .harness import Answers, BookingHarness, Json
from .news import enrolled, hear, movement, overdue, schedule, told

MISSED_AT = START + 10 * MINUTE


async def missed(harness: BookingHarness, starts_at: Any = START) -> Json:
    session = await harness.confirmed(starts_at)
    await harness.advance(starts_at + 10 * MINUTE)
    found = await harness.read(session)
    assert found["status"] == "provider_missed"
    return found


def made_good(session: Json, minutes: int = 30) -> CreditReturned:
    return CreditReturned(
        **movement(new_id()),
        session_id=session["id"],
        hold_id=new_id(),
        cause="provider_missed",
        source="make_good",
        expires_at=START + 30 * DAY,
        length_minutes=minutes,
        made_for_minutes=minutes,
    )


def covered_by_co_pay(until: date | None = None) -> MemberEnrolled:
    return enrolled(new_id(), "plan", date(2026, 11, 1), until, lengths=[30], live_credits=None)


async def closed(harness: BookingHarness) -> Json:
    """What was missed in a room that the provider closed since."""
    await working(harness)
    session = await missed(harness)
    await hear(harness, told(made_good(session)))
    await close(harness, session)
    return session


async def close(harness: BookingHarness, session: Json, who: Any = None) -> None:
    answer = await (who or harness.provider).post(f"/v1/rooms/{session['room_id']}/close")
    assert answer.status_code == 200, answer.text
    await harness.outbox()


async def reserve(harness: BookingHarness, answer: Any) -> Json:
    assert answer.status_code == 202, answer.text
    await harness.handle(Answers.slot_held(answer.json()))
    await harness.handle(Answers.credit_held(answer.json()))
    found = await harness.read(answer.json())
    assert found["status"] == "reserved"
    return found


async def status(harness: BookingHarness, session: Json) -> str:
    return str((await harness.member.get(f"/v1/rooms/{session['room_id']}")).json()["status"])


async def button(harness: BookingHarness, session: Json) -> Any:
    """The member's button to rebook, read by itself and in the list, which must agree."""

    def of(body: Json) -> Any:
        return next((each for each in body["actions"] if each["action"] == "rebook"), None)

    alone = of((await harness.member.get(f"/v1/sessions/{session['id']}")).json())
    listed = {each["id"]: each for each in (await harness.member.get("/v1/sessions")).json()["items"]}
    assert of(listed[session["id"]]) == alone
    return alone


@pytest.mark.rule("MISS-4")
@pytest.mark.parametrize("plan", ["eap-6", "none"])
async def test_a_credit_made_good_pays_for_its_length_on_another_plan_and_without_any(
    harness: BookingHarness, plan: str
) -> None:
    await working(harness)
    session = await missed(harness)
    if plan == "eap-6":
        await eap(harness, 0)
    await hear(harness, told(made_good(session)))
    found = (await harness.member.get(f"/v1/rooms/{session['room_id']}/bookability")).json()
    assert (found["bookable"], found["length_minutes"], found["costs"]["credit"]) == (True, 30, 1)
    harness.clock.moment = START + 31 * DAY
    other = (await harness.member.get(f"/v1/rooms/{session['room_id']}/bookability?length_minutes=30")).json()
    assert {"length-not-in-plan", "coverage-ended"} & {reason["code"] for reason in other["reasons"]}


@pytest.mark.rule("MISS-4", "ROOM-1")
async def test_rebooking_opens_the_room_that_the_provider_closed_once_it_is_reserved(harness: BookingHarness) -> None:
    session = await closed(harness)
    found = (await harness.member.get(f"/v1/rooms/{session['room_id']}/bookability")).json()
    assert (found["bookable"], found["reasons"]) == (True, [])
    assert codes(await rebook(harness, session, length_minutes=45))[0] == "room-closed"  # that is not what was missed
    assert codes(await rebook(harness, session, who=harness.provider))[0] == "room-closed"  # it is the member's right
    answers = await asyncio.gather(rebook(harness, session), rebook(harness, session, harness.clock.moment + 2 * DAY))
    assert sorted(answer.status_code for answer in answers) == [202, 409], "one right, one booking"
    (booked,) = (answer for answer in answers if answer.status_code == 202)
    assert await status(harness, session) == "closed"
    assert names(await harness.outbox()) == ["SessionRequested"]
    await reserve(harness, booked)
    assert sorted(names(await harness.outbox())) == ["RoomRestarted", "SessionReserved"]
    assert await status(harness, session) == "active"
    await close(harness, session)
    assert codes(await rebook(harness, session))[0] == "room-closed"  # it was rebooked


async def test_a_refused_request_counts_once_and_a_rebooking_is_none(harness: BookingHarness) -> None:
    session = await closed(harness)
    refusals = REFUSALS.labels("request", "room-closed")
    before = refusals._value.get()
    assert (await rebook(harness, session, length_minutes=45)).status_code == 409
    assert refusals._value.get() - before == 1
    assert (await rebook(harness, session)).status_code == 202
    assert refusals._value.get() - before == 1


@pytest.mark.rule("MISS-4", "BOOK-9")
async def test_a_rebooking_with_the_same_key_is_one(harness: BookingHarness) -> None:
    session = await closed(harness)
    body = harness.booking_body(session["room_id"], harness.clock.moment + DAY)
    answers = [
        await harness.member.post("/v1/sessions", json=body, headers={"Idempotency-Key": "again"}) for _ in range(2)
    ]
    assert answers[0].status_code == 202
    assert answers[0].json() == answers[1].json()


@pytest.mark.rule("MISS-4")
async def test_a_rebooking_that_is_refused_leaves_the_room_closed_and_the_right_as_it_was(
    harness: BookingHarness,
) -> None:
    session = await closed(harness)
    before = (await harness.member.get(f"/v1/rooms/{session['room_id']}")).json()
    first = await rebook(harness, session)
    await harness.handle(Answers.slot_refused(first.json(), "slot-taken"))
    await harness.handle(Answers.credit_held(first.json()))
    assert (await harness.read(first.json()))["status"] == "rejected"
    assert (await harness.member.get(f"/v1/rooms/{session['room_id']}")).json() == before, "not even seen"
    assert "RoomRestarted" not in names(await harness.outbox())
    await reserve(harness, await rebook(harness, session))
    assert await status(harness, session) == "active"


@pytest.mark.rule("MISS-4")
@pytest.mark.parametrize("how", ["expired", "cancelled", "declined"])
async def test_a_rebooking_that_others_let_fall_through_does_not_use_up_the_right(
    harness: BookingHarness, how: str
) -> None:
    session = await closed(harness)
    again = await reserve(harness, await rebook(harness, session))
    if how == "expired":
        await harness.advance(harness.clock.moment + 3 * HOUR)
    else:
        verb = "cancel" if how == "cancelled" else "decline"
        assert (await harness.provider.post(f"/v1/sessions/{again['id']}/{verb}")).status_code == 202
    assert (await harness.read(again))["status"] == how
    await close(harness, session)
    await reserve(harness, await rebook(harness, session))


@pytest.mark.rule("MISS-4")
async def test_a_rebooking_that_the_member_cancelled_used_up_the_right(harness: BookingHarness) -> None:
    session = await closed(harness)
    again = await reserve(harness, await rebook(harness, session))
    answer = await harness.member.post(f"/v1/sessions/{again['id']}/cancel", json={"accept_forfeit": True})
    assert answer.status_code == 202
    await close(harness, session)
    assert codes(await rebook(harness, session))[0] == "room-closed"


@pytest.mark.rule("MISS-4")
async def test_a_rebooking_that_the_member_takes_back_before_it_is_decided_leaves_the_right(
    harness: BookingHarness,
) -> None:
    session = await closed(harness)
    asked = await rebook(harness, session)
    answer = await harness.member.post(f"/v1/sessions/{asked.json()['id']}/cancel")
    assert answer.status_code == 202
    assert (await harness.read(asked.json()))["status"] == "cancelled"
    assert await status(harness, session) == "closed"
    await reserve(harness, await rebook(harness, session))
    assert await status(harness, session) == "active"


@pytest.mark.rule("MISS-4")
async def test_two_misses_give_two_rights(harness: BookingHarness) -> None:
    await working(harness)
    starts = [START, START + DAY]
    sessions = [await harness.confirmed(start) for start in starts]  # both booked before the first was missed
    await harness.advance(starts[-1] + 10 * MINUTE)
    for number in range(2):
        await close(harness, sessions[0])
        await reserve(harness, await rebook(harness, sessions[0], harness.clock.moment + (number + 1) * DAY))
    await close(harness, sessions[0])
    assert codes(await rebook(harness, sessions[0]))[0] == "room-closed"


@pytest.mark.rule("MISS-4")
async def test_a_room_that_the_member_closed_stays_closed_and_so_does_one_after_thirty_days(
    harness: BookingHarness,
) -> None:
    await working(harness)
    session = await missed(harness)
    await close(harness, session, harness.member)
    refused = await rebook(harness, session)
    assert codes(refused)[0] == "room-closed"
    assert refused.json()["reasons"][0]["remedy"]["action"] == "restart_therapy"
    await harness.member.post(f"/v1/rooms/{session['room_id']}/restart")
    await close(harness, session)
    harness.clock.moment = MISSED_AT + 30 * DAY
    assert codes(await rebook(harness, session))[:2] == ["room-closed", "room-inactive"]


@pytest.mark.rule("MISS-4", "ROOM-2")
async def test_a_member_who_was_away_is_active_again_once_the_rebooking_is_reserved(harness: BookingHarness) -> None:
    await working(harness)
    session = await missed(harness)
    harness.clock.moment = MISSED_AT + 29 * DAY
    booked = await rebook(harness, session)
    body: Json = {"starts_at": (harness.clock.moment + 3 * DAY).isoformat(), "length_minutes": 45, "modality": "video"}

    async def away() -> bool:
        answer = await harness.member.get(f"/v1/rooms/{session['room_id']}/bookability", params=body)
        return "room-inactive" in codes(answer)

    assert await away(), "nothing is reserved yet"
    await reserve(harness, booked)
    assert not await away()


@pytest.mark.rule("MISS-4", "MISS-5")
async def test_the_right_counts_from_the_correction(harness: BookingHarness) -> None:
    await working(harness)
    session = await harness.confirmed()
    harness.clock.moment = START
    for person in (harness.member, harness.provider):
        await person.post(f"/v1/sessions/{session['id']}/join")
    await harness.advance(START + HOUR)
    assert (await harness.read(session))["status"] == "completed"
    harness.clock.moment = START + 20 * DAY
    body = {"outcome": "provider_missed", "reason": "The recording shows it."}
    assert (await harness.support.post(f"/v1/sessions/{session['id']}/correct", json=body)).status_code == 200
    await hear(harness, told(covered_by_co_pay()))
    await close(harness, session)
    harness.clock.moment = START + 49 * DAY
    assert (await button(harness, session))["until"] == "2027-01-16T09:00:00Z"
    await reserve(harness, await rebook(harness, session))


@pytest.mark.rule("MISS-4", "BOOK-10")
async def test_the_button_says_what_the_booking_would(harness: BookingHarness) -> None:
    session = await closed(harness)
    found = await button(harness, session)
    assert (found["allowed"], found["reason"]) == (True, None)
    await hear(harness, told(schedule(9, weekly=())))
    assert (await button(harness, session))["reason"] == "room-closed"
    assert codes(await rebook(harness, session))[0] == "room-closed"
    await working(harness, version=10)
    await harness.member.post(f"/v1/rooms/{session['room_id']}/restart")
    await close(harness, session, harness.member)
    assert (await button(harness, session))["reason"] == "room-closed"
    await harness.member.post(f"/v1/rooms/{session['room_id']}/restart")
    await reserve(harness, await rebook(harness, session))
    assert await button(harness, session) is None, "it was rebooked"
    disputed = await harness.member.post(f"/v1/sessions/{session['id']}/dispute", json={"claim": "i_was_there"})
    assert "rebook" not in {each["action"] for each in disputed.json()["actions"]}


@pytest.mark.rule("MISS-4", "BOOK-10", "CRED-7")
async def test_the_button_is_refused_to_a_member_who_owes(harness: BookingHarness) -> None:
    session = await closed(harness)
    await hear(harness, told(overdue()))
    found = await button(harness, session)
    assert (found["allowed"], found["reason"]) == (False, "outstanding-charges")


@pytest.mark.rule("MISS-4", "BOOK-10", "PLAN-1")
async def test_the_button_is_refused_where_coverage_has_ended_and_no_credit_was_made_good(
    harness: BookingHarness,
) -> None:
    await working(harness)
    session = await missed(harness)
    await hear(harness, told(covered_by_co_pay()))
    assert (await button(harness, session))["allowed"]
    ended = enrolled(new_id(), "other", date(2026, 11, 2), START.date() - DAY, lengths=[30], live_credits=None)
    await hear(harness, told(ended, 2))
    found = await button(harness, session)
    assert (found["allowed"], found["reason"]) == (False, "coverage-ended")


@pytest.mark.rule("MISS-4", "BOOK-10", "AVAIL-1")
async def test_the_button_is_refused_for_a_length_that_the_provider_offers_no_more(harness: BookingHarness) -> None:
    await working(harness)
    session = await missed(harness)
    await hear(harness, told(made_good(session)))
    assert (await button(harness, session))["allowed"]
    await hear(harness, told(schedule(2, session_types=[SessionType(length_minutes=45, modalities=["video"])])))
    found = await button(harness, session)
    assert (found["allowed"], found["reason"]) == (False, "slot-not-offered")
