"""Booking over HTTP (BOOK)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from makegood_contracts.events import SessionRequested
from makegood_contracts.ids import new_id
from makegood_testkit.service import names, slug

from .examples import NOW, START
from .harness import Answers, BookingHarness, plain


async def book(
    harness: BookingHarness, body: Any, *, wait: int | None = None, key: str | None = None
) -> httpx.Response:
    headers = {"Idempotency-Key": key or new_id()}
    if wait is not None:
        headers["Prefer"] = f"wait={wait}"
    return await harness.member.post("/v1/sessions", json=body, headers=headers)


@pytest.mark.rule("BOOK-1")
async def test_without_prefer_wait_the_session_is_asked_for_and_found_at_its_location(harness: BookingHarness) -> None:
    room_id = await harness.room()
    await harness.outbox()
    answer = await book(harness, harness.booking_body(room_id))
    session = answer.json()
    assert (answer.status_code, session["status"], answer.headers["etag"]) == (202, "requested", '"1"')
    assert answer.headers["location"] == f"/v1/sessions/{session['id']}"
    assert (await harness.member.get(answer.headers["location"])).json() == session
    assert names(await harness.outbox()) == ["SessionRequested"]


@pytest.mark.rule("BOOK-1")
async def test_both_answers_in_one_batch_decide_about_the_session(harness: BookingHarness) -> None:
    kept, refused = await harness.ask(START), await harness.ask(START + timedelta(hours=1))
    await harness.outbox()
    assert not await harness.handle(
        Answers.credit_held(kept),
        Answers.slot_held(refused),
        Answers.slot_held(kept),
        Answers.credit_refused(refused),
    )
    assert names(await harness.outbox()) == ["SessionReserved", "SessionRejected"]
    assert [(await harness.read(session))["status"] for session in (kept, refused)] == ["reserved", "rejected"]


@pytest.mark.rule("BOOK-1", "BOOK-2", "CONF-2")
async def test_with_prefer_wait_the_answer_is_the_reserved_session(harness: BookingHarness) -> None:
    room_id = await harness.room()
    asking = asyncio.create_task(book(harness, harness.booking_body(room_id), wait=10))
    asked = await harness.session_of(SessionRequested)
    await harness.handle(Answers.slot_held(asked))
    await harness.handle(Answers.credit_held(asked))
    answer = await asking
    session = answer.json()
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "wait=10")
    assert plain(session) == {
        "id": asked["id"],
        "room_id": room_id,
        "member_id": "anna",
        "provider_id": "dr-lee",
        "status": "reserved",
        "starts_at": "2026-11-27T09:00:00Z",
        "ends_at": "2026-11-27T09:30:00Z",
        "length_minutes": 30,
        "modality": "video",
        "time_zone": "Europe/Berlin",
        "local_start": "2026-11-27T10:00",
        "venue_id": None,
        "confirm_by": "2026-11-26T09:00:00Z",
        "policy": {
            "id": "standard",
            "version": 1,
            "notice_hours": 48,
            "confirm_hours": 24,
            "join_minutes": 10,
            "grace_minutes": 10,
            "no_show_minutes": 15,
            "cooling_off_minutes": 15,
            "together_minutes": 5,
            "inactivity_days": 25,
            "offer_minutes": 120,
        },
        "credit": {"state": "held"},
        "reason": None,
        "absent_party": None,
        "move": None,
        "version": 2,
        "reasons": [],
    }
    assert names(await harness.outbox())[-2:] == ["SessionRequested", "SessionReserved"]


@pytest.mark.rule("BOOK-1", "BOOK-4")
@pytest.mark.parametrize("purchasable", [True, False])
async def test_a_refused_booking_answers_every_reason_and_whether_a_credit_can_be_purchased(
    harness: BookingHarness, purchasable: bool
) -> None:
    room_id = await harness.room()
    asking = asyncio.create_task(book(harness, harness.booking_body(room_id), wait=10))
    asked = await harness.session_of(SessionRequested)
    await harness.handle(
        Answers.credit_refused(asked, "no-session-credits", "length-not-in-plan", purchasable=purchasable)
    )
    await harness.handle(Answers.slot_held(asked))
    answer = await asking
    problem = answer.json()
    assert (answer.status_code, slug(answer)) == (409, "no-session-credits")
    assert [reason["code"] for reason in problem["reasons"]] == ["no-session-credits", "length-not-in-plan"]
    assert (problem["purchasable"], problem["session_id"]) == (purchasable, asked["id"])
    after = await harness.read(asked)
    assert (after["status"], after["reason"], after["credit"]) == ("rejected", "no-session-credits", {"state": "none"})


@pytest.mark.rule("BOOK-1")
async def test_a_slot_alone_that_is_refused_says_nothing_of_purchases(harness: BookingHarness) -> None:
    room_id = await harness.room()
    asking = asyncio.create_task(book(harness, harness.booking_body(room_id), wait=10))
    asked = await harness.session_of(SessionRequested)
    await harness.handle(Answers.slot_refused(asked, "slot-taken"))
    await harness.handle(Answers.credit_held(asked))
    answer = await asking
    assert slug(answer) == "slot-taken"
    assert "purchasable" not in answer.json()


@pytest.mark.rule("BOOK-1")
async def test_when_the_time_to_wait_is_up_the_answer_is_202(harness: BookingHarness) -> None:
    key, body = new_id(), harness.booking_body(await harness.room())
    answer = await book(harness, body, wait=1, key=key)
    assert (answer.status_code, answer.json()["status"]) == (202, "requested")
    assert answer.headers["location"] == f"/v1/sessions/{answer.json()['id']}"
    again = await book(harness, body, wait=1, key=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")


@pytest.mark.rule("BOOK-1", "CANC-1")
async def test_who_waits_hears_at_once_that_the_booking_was_cancelled_meanwhile(harness: BookingHarness) -> None:
    room_id = await harness.room()
    asking = asyncio.create_task(book(harness, harness.booking_body(room_id), wait=10))
    asked = await harness.session_of(SessionRequested)
    await harness.member.post(f"/v1/sessions/{asked['id']}/cancel")
    answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


@pytest.mark.rule("BOOK-9", "REL-4")
async def test_a_repeated_request_has_one_effect_and_the_first_answer(harness: BookingHarness) -> None:
    key, body = new_id(), harness.booking_body(await harness.room())
    await harness.outbox()
    answers = await asyncio.gather(*(book(harness, body, key=key) for _ in range(50)))
    good = [answer for answer in answers if answer.status_code == 202]
    assert {answer.json()["id"] for answer in good} == {good[0].json()["id"]}
    assert {slug(answer) for answer in answers if answer.status_code != 202} <= {"idempotency-in-flight"}
    assert names(await harness.outbox()) == ["SessionRequested"]
    changed = await book(harness, {**body, "length_minutes": 45}, key=key)
    assert (changed.status_code, slug(changed)) == (422, "idempotency-key-reused")
    other = await harness.room("bea")
    answer = await harness.client("member", "bea").post(
        "/v1/sessions", json=harness.booking_body(other), headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 202, "keys are per caller"


@pytest.mark.rule("BOOK-9")
async def test_a_waiting_booking_is_repeated_with_its_outcome(harness: BookingHarness) -> None:
    key, body = new_id(), harness.booking_body(await harness.room())
    asking = asyncio.create_task(book(harness, body, wait=10, key=key))
    asked = await harness.session_of(SessionRequested)
    in_flight = await book(harness, body, key=key)
    assert (in_flight.status_code, slug(in_flight)) == (409, "idempotency-in-flight")
    await harness.handle(Answers.slot_refused(asked))
    await harness.handle(Answers.credit_held(asked))
    first = await asking
    again = await book(harness, body, wait=10, key=key)
    assert (again.status_code, again.json()) == (first.status_code, first.json())


@pytest.mark.rule("BOOK-9")
async def test_a_booking_needs_a_key(harness: BookingHarness) -> None:
    answer = await harness.member.post("/v1/sessions", json=harness.booking_body(await harness.room()))
    assert (answer.status_code, slug(answer)) == (400, "idempotency-key-required")


NO_IDS = [
    "v",
    "urn:uuid:0193f5b5-0000-7000-8000-00000000abcd",
    "{0193f5b5-0000-7000-8000-0000000abcd}",
    "0193f5b5-0000-7000-8000-0000_0000_ab",
    "0193f5b5-0000-7000-8000-\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff10abcd",
]
BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("a field is missing", {"length_minutes": None}, 422, "validation"),
    ("a wrong type", {"length_minutes": "thirty"}, 422, "validation"),
    ("a number in a text", {"length_minutes": "30"}, 422, "validation"),
    ("a truth for a number", {"length_minutes": True}, 422, "validation"),
    ("an unknown field", {"colour": "blue"}, 422, "validation"),
    ("a time without an offset", {"starts_at": "2026-11-27T10:00:00"}, 422, "validation"),
    ("a time as a number", {"starts_at": 1795770000}, 422, "validation"),
    ("a date", {"starts_at": "2026-11-27"}, 422, "validation"),
    ("a day that does not exist", {"starts_at": "2026-02-30T10:00:00Z"}, 422, "validation"),
    ("a time without a UTC form", {"starts_at": "9999-12-31T23:59:59-14:00"}, 422, "validation"),
    ("now", {"starts_at": NOW.isoformat()}, 422, "validation"),
    ("in the past", {"starts_at": "2020-01-01T10:00:00Z"}, 422, "validation"),
    ("beyond the horizon", {"starts_at": "2099-01-01T10:00:00Z"}, 422, "validation"),
    ("a zone that does not exist", {"time_zone": "Mars/Olympus"}, 422, "validation"),
    ("a path as a zone", {"time_zone": "../../etc/passwd"}, 422, "validation"),
    ("a NUL in a text", {"time_zone": "Europe/Ber\x00lin"}, 422, "validation"),
    ("a length too short", {"length_minutes": 4}, 422, "validation"),
    ("a length too long", {"length_minutes": 481}, 422, "validation"),
    ("an unknown modality", {"modality": "telepathy"}, 422, "validation"),
    ("in person without a venue", {"modality": "in_person"}, 422, "validation"),
    ("a venue without in person", {"venue_id": "0193f5b5-0000-7000-8000-00000000abcd"}, 422, "validation"),
    *[
        (f"a venue that is no id: {text!a}", {"modality": "in_person", "venue_id": text}, 422, "validation")
        for text in NO_IDS
    ],
    *[(f"a room that is no id: {text!a}", {"room_id": text}, 404, "not-found") for text in NO_IDS],
    ("a room that does not exist", {"room_id": new_id()}, 404, "not-found"),
    ("a room id that is none", {"room_id": "kitchen"}, 404, "not-found"),
]


@pytest.mark.rule("BOOK-1", "BOOK-2")
@pytest.mark.parametrize(("change", "status", "problem"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
async def test_a_bad_booking_is_refused_and_leaves_nothing(
    harness: BookingHarness, change: dict[str, Any], status: int, problem: str
) -> None:
    body, key = {**harness.booking_body(await harness.room()), **change}, new_id()
    body = {name: value for name, value in body.items() if value is not None}
    await harness.outbox()
    answer = await book(harness, body, key=key, wait=5)
    assert (answer.status_code, slug(answer)) == (status, problem)
    assert (await harness.member.get("/v1/sessions")).json()["items"] == []
    assert await harness.outbox() == []
    good = await book(harness, harness.booking_body(await harness.room()), key=key)
    assert good.status_code == 202, "what was refused does not use up its key"


@pytest.mark.parametrize(
    ("body", "status"), [(b"{not json", 400), (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b'"text"', 422), (b"", 422)]
)
async def test_a_body_that_is_none(harness: BookingHarness, body: bytes, status: int) -> None:
    headers = {"Idempotency-Key": new_id(), "Content-Type": "application/json"}
    answer = await harness.member.post("/v1/sessions", content=body, headers=headers)
    assert (answer.status_code, slug(answer)) == (status, "validation")


async def test_a_body_of_two_megabytes(harness: BookingHarness) -> None:
    headers = {"Idempotency-Key": new_id(), "Content-Type": "application/json"}
    answer = await harness.member.post("/v1/sessions", content=b'{"a":"' + b"x" * 2_000_000 + b'"}', headers=headers)
    assert (answer.status_code, slug(answer)) == (413, "payload-too-large")


@pytest.mark.parametrize("text", NO_IDS)
async def test_a_path_with_an_odd_id_is_not_found(harness: BookingHarness, text: str) -> None:
    key = {"Idempotency-Key": new_id()}
    answers = [
        await harness.member.get(f"/v1/sessions/{text}"),
        await harness.member.get(f"/v1/sessions/{text}/history"),
        await harness.member.post(f"/v1/sessions/{text}/cancel", headers=key),
        await harness.member.get(f"/v1/rooms/{text}"),
        await harness.member.post(f"/v1/rooms/{text}/close", headers=key),
    ]
    assert [(answer.status_code, slug(answer)) for answer in answers] == [(404, "not-found")] * 5
    for person in (harness.member, harness.support):
        listed = await person.get("/v1/sessions", params={"room_id": text})
        assert (listed.status_code, listed.json()) == (200, {"items": [], "next_cursor": None})


@pytest.mark.rule("BOOK-1")
async def test_a_version_of_a_session_that_is_not_there_yet_cannot_match(harness: BookingHarness) -> None:
    headers = {"Idempotency-Key": new_id(), "If-Match": '"1"'}
    answer = await harness.member.post("/v1/sessions", json=harness.booking_body(await harness.room()), headers=headers)
    assert (answer.status_code, slug(answer)) == (412, "version-mismatch")
    assert (await harness.member.get("/v1/sessions")).json()["items"] == []


@pytest.mark.rule("AVAIL-3")
async def test_a_venue_has_one_spelling_whoever_books_it(harness: BookingHarness) -> None:
    venue = new_id()
    session = await harness.ask(modality="in_person", venue_id=venue.upper())
    assert session["venue_id"] == venue


@pytest.mark.rule("BOOK-1")
async def test_somebody_elses_room_is_not_found(harness: BookingHarness) -> None:
    answer = await book(harness, harness.booking_body(await harness.room("bea")))
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.rule("BOOK-1", "ROOM-1")
async def test_a_closed_room_takes_no_booking(harness: BookingHarness) -> None:
    room_id = await harness.room()
    await harness.member.post(f"/v1/rooms/{room_id}/close")
    answer = await book(harness, harness.booking_body(room_id))
    assert (answer.status_code, slug(answer)) == (409, "room-closed")
    codes = [reason["code"] for reason in answer.json()["reasons"]]
    assert codes == ["room-closed", "coverage-ended"]


@pytest.mark.rule("BOOK-2")
async def test_any_offset_names_the_same_instant_and_the_zone_shows_it(harness: BookingHarness) -> None:
    other = START.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    answer = await book(harness, harness.booking_body(await harness.room(), other, time_zone="Australia/Sydney"))
    session = answer.json()
    assert (session["starts_at"], session["local_start"]) == ("2026-11-27T09:00:00Z", "2026-11-27T20:00")
    seen = (await harness.provider.get(f"/v1/sessions/{session['id']}")).json()
    assert seen["local_start"] == "2026-11-27T20:00"


@pytest.mark.rule("BOOK-3")
async def test_the_policy_can_be_read_before_booking_by_anyone_signed_in(harness: BookingHarness) -> None:
    for role in ("member", "provider", "support", "ops"):
        answer = await harness.client(role, "x").get("/v1/policies/current")
        policy = answer.json()
        assert answer.status_code == 200
        assert (policy["version"], policy["notice_hours"], policy["offer_minutes"]) == (1, 48, 120)
        assert "48 hours" in policy["text"]
    assert (
        await httpx.AsyncClient(transport=httpx.ASGITransport(harness.app), base_url="http://t").get(
            "/v1/policies/current"
        )
    ).status_code == 401


@pytest.mark.rule("BOOK-3", "CANC-1")
async def test_a_session_keeps_the_policy_it_was_booked_under(harness: BookingHarness) -> None:
    before = await harness.reserved()
    async with harness.service.database.connections.loan() as connection:
        await connection.execute(
            "INSERT INTO policies (version, id, numbers) "
            "SELECT 2, 'strict', numbers || '{\"notice_hours\": 96}' FROM policies WHERE version = 1"
        )
    harness.dependencies.policies.expire()  # as if its few seconds of freshness were over
    current = (await harness.member.get("/v1/policies/current")).json()
    assert (current["id"], current["notice_hours"]) == ("strict", 96)
    after = await harness.reserved(START + timedelta(days=1))
    assert [(await harness.read(s))["policy"]["notice_hours"] for s in (before, after)] == [48, 96]
    applied = (await harness.member.get(f"/v1/sessions/{before['id']}/policy")).json()
    assert (applied["notice_hours"], applied["free_until"]) == (48, "2026-11-25T09:00:00Z")


@pytest.mark.rule("BOOK-9")
async def test_many_bookings_at_once_stand_each_for_itself(harness: BookingHarness) -> None:
    """Good and bad ones share transactions; none spoils another, and each key is used or given back."""
    room_id = await harness.room()
    bodies = [
        harness.booking_body(room_id, START + timedelta(hours=n))
        if n % 3
        else harness.booking_body(new_id() if n % 2 else room_id, NOW)
        for n in range(60)
    ]
    answers = await asyncio.gather(*(book(harness, body) for body in bodies))
    assert [answer.status_code for answer in answers] == [202 if n % 3 else 404 if n % 2 else 422 for n in range(60)]
    listed = (await harness.member.get("/v1/sessions", params={"limit": 200})).json()["items"]
    assert len(listed) == 40
    starts = [datetime.fromisoformat(item["starts_at"]).astimezone(UTC) for item in listed]
    assert starts == sorted(starts)
