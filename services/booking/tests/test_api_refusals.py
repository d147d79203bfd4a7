"""What is refused names everything that stands against it (BOOK-8); EAP restarts while sessions are left (ROOM-1); what can be
done, and what it costs, is told before (BOOK-3, BOOK-4, BOOK-10)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from makegood_contracts.events import SessionRequested
from makegood_contracts.ids import new_id

from .asking import DAY, codes, eap, rebook, working
from .examples import HOUR, NOW, START
from .harness import Answers, BookingHarness, Json
from .news import enrolled, granted, hear, overdue, told


@pytest.mark.rule("ROOM-1")
async def test_an_eap_member_with_sessions_left_comes_back_after_26_days(harness: BookingHarness) -> None:
    await eap(harness, 6)
    await working(harness)
    room = await harness.room()
    harness.clock.moment = NOW + 26 * DAY
    found = (await harness.member.get(f"/v1/rooms/{room}/bookability")).json()
    (reason,) = found["reasons"]
    assert reason["code"] == "room-inactive"
    assert [each["action"] for each in reason["remedies"]] == ["restart_therapy", "match_new_provider"]
    assert reason["remedy"] == reason["remedies"][0]
    assert (await harness.member.post(f"/v1/rooms/{room}/restart")).status_code == 200
    assert (await harness.member.get(f"/v1/rooms/{room}/bookability")).json()["bookable"]


@pytest.mark.rule("ROOM-1")
async def test_an_eap_member_without_sessions_is_pointed_to_more_of_them(harness: BookingHarness) -> None:
    await eap(harness, 0)
    await working(harness)
    room = await harness.room()
    await harness.member.post(f"/v1/rooms/{room}/close")
    refused = await harness.member.post(f"/v1/rooms/{room}/restart")
    (reason,) = refused.json()["reasons"]
    assert (refused.status_code, reason["remedies"]) == (409, [{"action": "get_more_sessions"}])
    booked = await rebook(harness, {"room_id": room}, length_minutes=45)
    assert [(each["code"], each["remedy"]["action"]) for each in booked.json()["reasons"]] == [
        ("room-closed", "get_more_sessions"),
        ("no-session-credits", "get_more_sessions"),
    ]


@pytest.mark.rule("BOOK-8")
async def test_a_closed_room_hides_neither_an_overdue_invoice_nor_coverage_that_ended(harness: BookingHarness) -> None:
    await hear(harness, told(enrolled(new_id(), "plan", date(2026, 10, 1), date(2026, 11, 22))), told(overdue()))
    await working(harness)
    room = await harness.room()
    await harness.provider.post(f"/v1/rooms/{room}/close")
    for wait in ({}, {"Prefer": "wait=5"}):
        body = harness.booking_body(room, START, length_minutes=40)
        refused = await harness.member.post("/v1/sessions", json=body, headers={"Idempotency-Key": new_id(), **wait})
        asked: Json = {"starts_at": START.isoformat(), "length_minutes": 40, "modality": "video"}
        said = (await harness.member.get(f"/v1/rooms/{room}/bookability", params=asked)).json()["reasons"]
        assert refused.status_code == 409
        assert refused.json()["type"] == "/problems/room-closed"
        assert codes(refused) == ["room-closed", "slot-not-offered", "coverage-ended", "outstanding-charges"]
        assert refused.json()["reasons"] == [_plain(reason) for reason in said]
    assert not [event for event in await harness.outbox() if isinstance(event, SessionRequested)]


def _plain(reason: Json) -> Json:
    """Without what is null, as problems are told."""
    return {
        name: [_plain(each) for each in value]
        if isinstance(value, list)
        else _plain(value)
        if isinstance(value, dict)
        else value
        for name, value in reason.items()
        if value is not None
    }


@pytest.mark.rule("BOOK-6", "BOOK-8")
async def test_what_support_may_not_book_names_the_rest_too(harness: BookingHarness) -> None:
    room = await harness.room()
    refused = await rebook(harness, {"room_id": room}, START, harness.support)
    assert refused.status_code == 403
    assert codes(refused) == ["support-may-not", "coverage-ended"]


@pytest.mark.rule("BOOK-8")
async def test_a_rejected_session_tells_all_reasons_with_their_remedies(harness: BookingHarness) -> None:
    await working(harness)
    await eap(harness, 0)
    session = await harness.ask(length_minutes=45)
    await harness.handle(Answers.slot_refused(session, "slot-taken", "member-busy"))
    await harness.handle(Answers.credit_refused(session, "outstanding-charges", "no-session-credits"))
    found = await harness.read(session)
    assert (found["status"], found["reason"]) == ("rejected", "slot-taken")
    assert [(reason["code"], reason["remedy"]["action"]) for reason in found["reasons"]] == [
        ("slot-taken", "choose_another_slot"),
        ("member-busy", "choose_another_time"),
        ("outstanding-charges", "pay_balance"),
        ("no-session-credits", "get_more_sessions"),
    ]
    listed = (await harness.member.get("/v1/sessions")).json()["items"]
    assert [each["reasons"] for each in listed] == [found["reasons"]]


@pytest.mark.rule("BOOK-8")
async def test_who_answered_is_named_although_the_other_did_not_in_time(harness: BookingHarness) -> None:
    session = await harness.ask()
    await harness.handle(Answers.credit_refused(session, "outstanding-charges"))
    await harness.advance(NOW + HOUR / 4)
    found = await harness.read(session)
    assert [reason["code"] for reason in found["reasons"]] == ["outstanding-charges", "temporary-interruption"]


@pytest.mark.rule("BOOK-4", "BOOK-8")
async def test_near_the_end_of_a_period_the_answer_says_when_the_next_credits_come(harness: BookingHarness) -> None:
    plan: Json = {"plan_kind": "out_of_pocket", "lengths": [30], "purchasable": True, "time_zone": "UTC"}
    monthly = enrolled(new_id(), "plan", date(2026, 10, 31), live_credits=4, period_months=1, **plan)
    await working(harness)
    await hear(harness, told(monthly), told(granted(4, expires_at=NOW.replace(day=30, hour=0))))
    room = await harness.room()
    later: Json = {"starts_at": "2026-12-05T10:00:00Z", "length_minutes": 30, "modality": "video"}
    found = (await harness.member.get(f"/v1/rooms/{room}/bookability", params=later)).json()
    (reason,) = found["reasons"]
    assert (reason["code"], reason["available_from"], reason["credits"]) == (
        "no-session-credits",
        "2026-11-30T00:00:00Z",
        4,
    )
    assert [each["action"] for each in reason["remedies"]] == ["buy_credit", "wait_for_credits", "join_waitlist"]
    assert reason["remedies"][2]["href"] == f"/v1/rooms/{room}/waitlist"


@pytest.mark.rule("BOOK-3")
async def test_bookability_tells_the_plan_the_price_and_the_policy(harness: BookingHarness) -> None:
    from makegood_contracts.events import Price

    await working(harness)
    co_pay = enrolled(
        new_id(),
        "insurance-copay",
        date(2026, 11, 1),
        live_credits=None,
        co_pay=Price(amount_minor=2500, currency="USD"),
    )
    await hear(harness, told(co_pay))
    found = (await harness.member.get(f"/v1/rooms/{await harness.room()}/bookability")).json()
    assert found["costs"] == {"credit": None, "amount": {"amount_minor": 2500, "currency": "USD"}}
    assert found["plan"]["id"] == "insurance-copay"
    assert found["policy"] == (await harness.member.get("/v1/policies/current")).json()


@pytest.mark.rule("BOOK-10")
async def test_a_session_lists_the_actions_of_its_reader(harness: BookingHarness) -> None:
    session = await harness.confirmed(NOW + 40 * HOUR)
    harness.clock.moment = NOW + HOUR

    async def read(person: Any) -> dict[str, Json]:
        body = (await person.get(f"/v1/sessions/{session['id']}")).json()
        listed = (await person.get("/v1/sessions")).json()["items"]
        assert [each["actions"] for each in listed] == [body["actions"]]
        return {action["action"]: action for action in body["actions"]}

    member, provider, support = await read(harness.member), await read(harness.provider), await read(harness.support)
    assert list(member) == ["cancel", "reschedule", "join", "dispute"]
    assert (member["cancel"]["allowed"], member["cancel"]["costs"]) == (True, {"credit": 1, "amount": None})
    assert member["join"] == {
        "action": "join",
        "allowed": False,
        "from": "2026-11-25T00:50:00Z",
        "until": None,
        "costs": None,
        "reason": "too-early-to-join",
    }
    assert (provider["cancel"]["allowed"], provider["cancel"]["costs"]) == (True, None)
    assert {name: action["reason"] for name, action in support.items()} == {
        "correct": "no-outcome",
        "cancel": "support-may-not",
        "reschedule": "support-may-not",
    }
    for name in ("join", "cancel"):
        asked = await harness.member.post(f"/v1/sessions/{session['id']}/{name}")
        expected = "forfeit-not-accepted" if name == "cancel" else member[name]["reason"]
        assert asked.json()["type"] == f"/problems/{expected}"
