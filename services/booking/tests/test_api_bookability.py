"""Why can't I book? Every reason that applies, each with what the source documents say helps (BOOK-8)."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from makegood_booking.domain.bookability import Question
from makegood_booking.handlers import bookability as handlers
from makegood_booking.handlers.bookability import judge_bookability, read_to_judge
from makegood_chassis.database import Queries, Row
from makegood_contracts.events import SessionRequested, SessionType, TimeOffAdded, WeeklyHours
from makegood_contracts.ids import new_id
from makegood_testkit.databases import as_owner
from makegood_testkit.service import slug
from msgspec.structs import replace as altered

from .examples import HOUR, NOW, START
from .harness import Answers, BookingHarness, Json
from .news import enrolled, granted, hear, overdue, schedule, told

DAY = timedelta(days=1)
ALWAYS = tuple(WeeklyHours(weekday=day, start=0, until=1440) for day in range(7))
OUT_OF_POCKET: Json = {
    "plan_kind": "out_of_pocket",
    "lengths": [30],
    "psychiatry_lengths": [],
    "modalities": ["video", "audio", "chat"],
    "live_credits": 4,
    "purchasable": True,
    "time_zone": "UTC",
}


class CountingQueries(Queries):
    """Keeps the lists that it is asked for."""

    def __init__(self, *connection: Any) -> None:
        super().__init__(*connection)
        self.asked: list[str] = []

    async def fetch(self, statement: Any, *args: Any) -> list[Row]:
        self.asked.append(str(statement))
        return await super().fetch(statement, *args)


async def covered(harness: BookingHarness, credits: int = 4, **plan: Any) -> None:
    await hear(harness, told(enrolled(new_id(), "plan", date(2026, 11, 1), **{**OUT_OF_POCKET, **plan})))
    if credits:
        await hear(harness, told(granted(credits)))


async def working(harness: BookingHarness, **other: Any) -> None:
    await hear(harness, told(schedule(**{"weekly": ALWAYS, "minimum_notice_minutes": 0, **other})))


async def bookability(harness: BookingHarness, room: str | None = None, **asked: Any) -> Json:
    answer = await harness.member.get(f"/v1/rooms/{room or await harness.room()}/bookability", params=asked)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    assert found["bookable"] == (found["reasons"] == [])
    return found


def reasons(found: Json) -> dict[str, str]:
    """Code → action of its remedy."""
    return {reason["code"]: reason["remedy"]["action"] for reason in found["reasons"]}


@pytest.mark.rule("BOOK-8")
async def test_nothing_in_the_way_the_next_slots_can_be_booked(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness)
    found = await bookability(harness, time_zone="America/New_York")
    assert found == {
        "bookable": True,
        "reasons": [],
        "can_purchase": True,
        "next_slots": found["next_slots"],
        "length_minutes": 30,
        "modality": "video",
        "costs": {"credit": 1, "amount": None},
        "plan": {"id": "plan", "kind": "out_of_pocket", "starts_on": "2026-11-01", "ends_on": None},
        "policy": (await harness.member.get("/v1/policies/current")).json(),
    }
    assert len(found["next_slots"]) == 5
    assert found["next_slots"][0] == {
        "starts_at": "2026-11-23T09:15:00Z",
        "ends_at": "2026-11-23T09:45:00Z",
        "local_start": "2026-11-23T04:15",
    }


@pytest.mark.rule("BOOK-8")
async def test_every_reason_is_named_at_once(harness: BookingHarness) -> None:
    room = await harness.room()
    await hear(harness, told(schedule(1, weekly=(), session_types=[])))
    await harness.member.post(f"/v1/rooms/{room}/close")
    harness.clock.moment = NOW + 26 * DAY
    await hear(harness, told(overdue()))
    found = await bookability(harness, room)
    assert reasons(found) == {
        "room-closed": "match_new_provider",
        "room-inactive": "match_new_provider",
        "outstanding-charges": "pay_balance",
        "coverage-ended": "choose_plan",
        "provider-unavailable": "match_new_provider",
    }
    hrefs = {reason["code"]: reason["remedy"].get("href") for reason in found["reasons"]}
    assert hrefs["outstanding-charges"] == "/v1/members/anna/invoices"
    assert hrefs["provider-unavailable"] == f"/v1/rooms/{room}/change-provider", (
        "nobody is sent to a provider without hours"
    )
    assert (found["next_slots"], found["can_purchase"]) == ([], False)


@pytest.mark.rule("BOOK-8")
@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("health_insurance", "renew_insurance_coverage"),
        ("eap", "get_more_sessions"),
        ("sponsored", "renew_sponsored_benefits"),
        ("out_of_pocket", "renew_plan"),
    ],
)
async def test_coverage_that_ended_is_renewed_as_its_kind_asks(harness: BookingHarness, kind: str, action: str) -> None:
    plan = {**OUT_OF_POCKET, "plan_kind": kind}
    await hear(harness, told(enrolled(new_id(), "plan", date(2026, 10, 1), date(2026, 11, 22), **plan)))
    await working(harness)
    assert reasons(await bookability(harness)) == {"coverage-ended": action}


@pytest.mark.rule("BOOK-8", "BOOK-4")
@pytest.mark.parametrize(
    ("plan", "action", "can_purchase"),
    [
        ({}, "buy_credit", True),
        ({"plan_kind": "eap", "purchasable": False}, "get_more_sessions", False),
        ({"plan_kind": "sponsored", "purchasable": False}, "renew_sponsored_benefits", False),
        ({"plan_kind": "health_insurance", "purchasable": False}, "check_credits", False),
    ],
)
async def test_without_a_credit_one_is_bought_where_the_plan_allows(
    harness: BookingHarness, plan: Json, action: str, can_purchase: bool
) -> None:
    await covered(harness, 0, **plan)
    await working(harness)
    found = await bookability(harness)
    assert (reasons(found), found["can_purchase"]) == ({"no-session-credits": action}, can_purchase)


@pytest.mark.rule("BOOK-7")
async def test_a_credit_that_is_held_is_not_there_twice_and_one_that_lapses_before_the_slot_is_none(
    harness: BookingHarness,
) -> None:
    await covered(harness, 0)
    grant = granted(1, expires_at=START)
    await hear(harness, told(grant))
    await working(harness, minimum_notice_minutes=4 * 24 * 60)
    assert reasons(await bookability(harness)) == {"no-session-credits": "buy_credit"}
    await hear(harness, told(schedule(2, weekly=ALWAYS, minimum_notice_minutes=60)))
    found = await bookability(harness)
    assert found["bookable"]
    session = await harness.ask()
    await hear(harness, told(altered(Answers.credit_held(session), lot_id=grant.lot_id)))
    assert reasons(await bookability(harness)) == {"no-session-credits": "buy_credit"}


@pytest.mark.rule("BOOK-7", "PLAN-1")
async def test_a_co_pay_needs_no_credit_and_messaging_no_live_session(harness: BookingHarness) -> None:
    await working(harness)
    await covered(harness, 0, live_credits=None)
    assert (await bookability(harness))["bookable"]
    await hear(
        harness,
        told(enrolled(new_id(), "m", date(2026, 11, 2), **{**OUT_OF_POCKET, "lengths": [], "modalities": []}), 2),
    )
    assert reasons(await bookability(harness)) == {"plan-excludes-live-sessions": "change_plan"}


@pytest.mark.rule("BOOK-8", "PLAN-1")
async def test_psychiatry_has_lengths_of_its_own(harness: BookingHarness) -> None:
    types = [SessionType(length_minutes=length, modalities=["video"]) for length in (30, 45)]
    await working(harness, session_types=types, specialty="psychiatry")
    await covered(harness, 0, live_credits=None, lengths=[45], psychiatry_lengths=[30])
    found = await bookability(harness)
    assert (found["bookable"], found["length_minutes"]) == (True, 30)
    assert reasons(await bookability(harness, length_minutes=45)) == {"length-not-in-plan": "choose_plan_length"}


@pytest.mark.rule("BOOK-8")
async def test_the_provider_may_have_no_hours_no_such_sessions_or_no_time(harness: BookingHarness) -> None:
    await covered(harness)
    room = await harness.room()
    await hear(harness, told(schedule(1, weekly=(), session_types=[])))

    async def why() -> list[tuple[str, str]]:
        found = await bookability(harness, room)
        return [(reason["code"], reason["detail"]) for reason in found["reasons"]]

    assert await why() == [("provider-unavailable", "The provider has published no hours.")]
    long = [SessionType(length_minutes=50, modalities=["video"])]
    await hear(harness, told(schedule(2, weekly=ALWAYS, session_types=long)))
    ((code, detail),) = await why()
    assert (code, "length and modality" in detail) == ("provider-unavailable", True)
    await hear(harness, told(schedule(3, weekly=(), exceptions=())))
    assert await why() == [("provider-unavailable", "The provider has no free time of that length.")]


@pytest.mark.rule("BOOK-8")
async def test_a_wish_is_refused_for_what_booking_it_would_be_refused_for(harness: BookingHarness) -> None:
    await covered(harness)
    await working(harness, buffer_after_minutes=15)
    session = await harness.ask()
    held = altered(Answers.slot_held(session), blocked_from=START, blocked_until=START + 3 * HOUR / 4)
    await hear(harness, told(held), told(Answers.credit_held(session)))
    body: Json = {"starts_at": START.isoformat(), "length_minutes": 30, "modality": "video"}
    found = await bookability(harness, **body)
    assert reasons(found) == {"slot-taken": "choose_another_slot", "member-busy": "choose_another_time"}
    assert [slot["starts_at"] for slot in found["next_slots"]][:1] == ["2026-11-27T09:45:00Z"]
    odd: Json = {
        **body,
        "starts_at": (START + 5 * HOUR / 12).isoformat(),
        "length_minutes": 50,
        "modality": "in_person",
    }
    found = await bookability(harness, **odd)
    assert reasons(found) == {
        "slot-not-offered": "choose_another_slot",
        "slot-taken": "choose_another_slot",
        "member-busy": "choose_another_time",
        "length-not-in-plan": "choose_plan_length",
        "modality-not-in-plan": "choose_plan_modality",
    }
    free = await bookability(harness, **{**body, "starts_at": (START + HOUR).isoformat()})
    assert (free["bookable"], free["next_slots"][0]["starts_at"]) == (True, "2026-11-27T10:00:00Z")


@pytest.mark.rule("BOOK-8")
async def test_what_cannot_be_asked_is_a_reason_and_never_an_error(harness: BookingHarness) -> None:
    room = await harness.room()
    async with as_owner(harness.service.database.url) as owner:
        await owner.execute("ALTER TABLE enrolments RENAME TO gone")
    found = await bookability(harness, room)
    assert reasons(found) == {"temporary-interruption": "try_again_later"}
    async with as_owner(harness.service.database.url) as owner:
        await owner.execute("ALTER TABLE gone RENAME TO enrolments")
    await covered(harness)
    await hear(harness, told(schedule(time_zone="Mars/Olympus", weekly=ALWAYS)))
    assert reasons(await bookability(harness, room)) == {"temporary-interruption": "try_again_later"}


@pytest.mark.rule("BOOK-8")
async def test_remedies_that_cannot_be_worked_out_are_no_error_either(
    harness: BookingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await harness.room()
    await covered(harness)
    await working(harness)

    def fails(*_: Any) -> bool:
        raise OverflowError

    monkeypatch.setattr(handlers, "sessions_left", fails)
    found = await bookability(harness, room)
    assert (reasons(found), found["bookable"]) == ({"temporary-interruption": "try_again_later"}, False)


@pytest.mark.rule("BOOK-8")
async def test_the_parties_and_support_ask_and_nobody_else(harness: BookingHarness) -> None:
    path = f"/v1/rooms/{await harness.room()}/bookability"
    answers = {
        role: (await harness.client(role, subject).get(path)).status_code
        for role, subject in (("member", "anna"), ("provider", "dr-lee"), ("support", "sam"), ("ops", "olga"))
    }
    assert answers == {"member": 200, "provider": 200, "support": 200, "ops": 403}
    assert slug(await harness.client("member", "ben").get(path)) == "not-found"
    assert slug(await harness.member.get(f"/v1/rooms/{new_id()}/bookability")) == "not-found"


@pytest.mark.parametrize(
    "asked",
    [
        {"starts_at": NOW.isoformat()},
        {"starts_at": (NOW + 400 * DAY).isoformat()},
        {"starts_at": "2026-11-24T10:00:00"},
        {"time_zone": "Mars/Olympus"},
        {"length_minutes": 1},
        {"modality": "telepathy"},
        {"colour": "red"},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(harness: BookingHarness, asked: Json) -> None:
    answer = await harness.member.get(f"/v1/rooms/{await harness.room()}/bookability", params=asked)
    assert (answer.status_code, slug(answer)) == (422, "validation")


async def book(harness: BookingHarness, person: Any, room: str, **other: Any) -> Json:
    answer = await person.post(
        "/v1/sessions",
        json=harness.booking_body(room, harness.clock.moment + 4 * DAY, **other),
        headers={"Idempotency-Key": new_id()},
    )
    body: Json = answer.json()
    return {**body, "status": answer.status_code}


@pytest.mark.rule("BOOK-7", "ROOM-2")
async def test_nobody_books_in_a_closed_room_or_for_a_member_who_was_away_and_each_reason_has_its_remedy(
    harness: BookingHarness,
) -> None:
    await hear(harness, told(enrolled(new_id(), "plan", date(2026, 11, 1), **OUT_OF_POCKET)))
    await working(harness, horizon_days=200)
    room = await harness.room()
    harness.clock.moment = NOW + 26 * DAY
    for person in (harness.member, harness.provider):
        refused = await book(harness, person, room)
        assert (refused["status"], refused["type"]) == (409, "/problems/room-inactive")
        inactive, no_credit = refused["reasons"]
        assert inactive["remedy"] == {"action": "restart_therapy", "href": f"/v1/rooms/{room}/restart"}
        assert [each["action"] for each in inactive["remedies"]] == ["restart_therapy", "match_new_provider"]
        assert no_credit["code"] == "no-session-credits"
    await harness.provider.post(f"/v1/rooms/{room}/close")
    refused = await book(harness, harness.member, room)
    assert [reason["code"] for reason in refused["reasons"]] == ["room-closed", "room-inactive", "no-session-credits"]
    assert not [event for event in await harness.outbox() if isinstance(event, SessionRequested)]
    await harness.member.post(f"/v1/rooms/{room}/restart")
    assert (await book(harness, harness.member, room))["status"] == 202


@pytest.mark.rule("BOOK-6", "BOOK-8")
async def test_what_support_may_not_book_the_provider_is_asked_to(harness: BookingHarness) -> None:
    room = await harness.room()
    refused = await book(harness, harness.support, room)
    assert (refused["status"], refused["type"]) == (403, "/problems/support-may-not")
    assert refused["reasons"][0]["remedy"] == {"action": "ask_provider_to_book", "href": f"/v1/rooms/{room}/messages"}


@pytest.mark.rule("BOOK-4", "BOOK-8")
@pytest.mark.parametrize(("kind", "purchasable"), [("eap", False), ("out_of_pocket", True)])
async def test_a_refused_booking_names_the_remedies_that_bookability_names(
    harness: BookingHarness, kind: str, purchasable: bool
) -> None:
    await covered(harness, 0, plan_kind=kind, purchasable=purchasable)
    await working(harness)
    room = await harness.room()
    said = await bookability(harness, room)

    async def answer() -> None:
        session = await harness.session_of(SessionRequested)
        await hear(harness, told(Answers.slot_refused(session, "slot-taken")))
        await hear(harness, told(Answers.credit_refused(session, "no-session-credits", purchasable=purchasable)))

    body = harness.booking_body(room, START)
    headers = {"Idempotency-Key": new_id(), "Prefer": "wait=10"}
    refused, _ = await asyncio.gather(harness.member.post("/v1/sessions", json=body, headers=headers), answer())
    assert refused.status_code == 409
    taken, no_credit = refused.json()["reasons"]
    assert taken["remedy"] == {"action": "choose_another_slot", "href": "/v1/providers/dr-lee/slots"}
    (reason,) = said["reasons"]
    told_before = {name: value for name, value in reason["remedy"].items() if value is not None}
    assert (no_credit["code"], no_credit["remedy"]) == (reason["code"], told_before)


@pytest.mark.rule("BOOK-8")
async def test_a_year_without_a_free_hour_is_looked_through_once_for_each_length(harness: BookingHarness) -> None:
    """However many modalities a plan has: the answer stays quick where there is little to find."""
    modalities: Any = ["video", "audio", "chat", "in_person"]
    await covered(harness, lengths=[30, 45], modalities=modalities, live_credits=None)
    kinds = [SessionType(length_minutes=length, modalities=modalities) for length in (30, 45)]
    await working(harness, session_types=kinds, horizon_days=365)
    away = TimeOffAdded(
        provider_id="dr-lee", schedule_version=2, time_off_id=new_id(), starts_at=NOW, ends_at=NOW + 400 * DAY
    )
    await hear(harness, told(away))
    room = await harness.room()
    assert reasons(await bookability(harness, room)) == {"provider-unavailable": "message_provider"}
    async with harness.database.reading() as queries:
        counting = CountingQueries(queries.connection, queries.personal_data)
        policy = await harness.dependencies.policies.current(queries)
        stored = await read_to_judge(counting, room, policy, NOW)
        assert stored is not None
        await judge_bookability(counting, stored, policy, Question(), NOW)
    windows = 6  # the first 4 days come with the room, then twice as many each time: 8 + 16 + 32 + 64 + 128 + the rest
    assert sum("waitlist_offers" in sql for sql in counting.asked) == 2 * windows
