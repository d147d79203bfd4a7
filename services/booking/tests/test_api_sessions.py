"""What the parties do with a session (CONF, CANC, JOIN, NOSH, MISS), and reading it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from makegood_contracts.events import MemberNoShow, ProviderMissed, SessionCancelled, SessionDeclined
from makegood_contracts.ids import new_id
from makegood_testkit.service import names, slug

from .examples import HOUR, MINUTE, NOW, START
from .harness import Answers, BookingHarness

END = START + 30 * MINUTE


@pytest.mark.rule("CONF-1")
async def test_the_provider_confirms(harness: BookingHarness) -> None:
    session = await harness.reserved()
    await harness.outbox()
    path = f"/v1/sessions/{session['id']}/confirm"
    answer = await harness.provider.post(path, headers={"If-Match": '"2"'})
    assert (answer.status_code, answer.json()["status"], answer.headers["etag"]) == (200, "confirmed", '"3"')
    assert names(await harness.outbox()) == ["SessionConfirmed"]
    stale = await harness.provider.post(path, headers={"If-Match": '"2"'})
    assert (stale.status_code, slug(stale)) == (412, "version-mismatch")
    assert (await harness.provider.post(path)).status_code == 200
    assert await harness.outbox() == []


@pytest.mark.rule("CONF-1")
async def test_the_provider_declines_and_can_wait_for_the_credit(harness: BookingHarness) -> None:
    session = await harness.reserved()
    await harness.outbox()
    path = f"/v1/sessions/{session['id']}/decline"
    asking = asyncio.create_task(harness.provider.post(path, headers={"Prefer": "wait=10", "Idempotency-Key": "k"}))
    await harness.session_of(SessionDeclined)
    await harness.handle(Answers.credit_returned(session, "declined"))
    answer = await asking
    assert (answer.status_code, answer.json()["status"], answer.json()["credit"]) == (
        200,
        "declined",
        {"state": "returned"},
    )
    again = await harness.provider.post(path, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (200, answer.json())


@pytest.mark.rule("CONF-2")
async def test_a_session_that_is_not_confirmed_in_time_expires_by_itself(harness: BookingHarness) -> None:
    session = await harness.reserved()
    assert await harness.advance(START - 24 * HOUR - MINUTE) == []
    assert names(await harness.advance(START - 24 * HOUR)) == ["SessionExpired"]
    late = await harness.provider.post(f"/v1/sessions/{session['id']}/confirm")
    assert (late.status_code, slug(late)) == (409, "session-over")


@pytest.mark.rule("CANC-1")
async def test_the_member_cancels_with_notice(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    answer = await harness.member.post(f"/v1/sessions/{session['id']}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/sessions/{session['id']}")
    assert answer.json()["status"] == "cancelled"
    (event,) = await harness.outbox()
    assert isinstance(event, SessionCancelled)
    assert (event.forfeits, event.cancelled_by, event.was_confirmed) == (False, "member", True)


@pytest.mark.rule("CANC-1")
async def test_with_less_notice_the_forfeit_must_be_accepted_and_the_policy_is_in_the_answer(
    harness: BookingHarness,
) -> None:
    session = await harness.confirmed()
    harness.clock.moment = START - 48 * HOUR + MINUTE
    path = f"/v1/sessions/{session['id']}"
    refused = await harness.member.post(f"{path}/cancel", json={})
    assert (refused.status_code, slug(refused)) == (409, "forfeit-not-accepted")
    assert refused.json()["policy"] == (await harness.member.get(f"{path}/policy")).json()
    assert refused.json()["policy"]["forfeits_now"] is True
    assert [reason["code"] for reason in refused.json()["reasons"]] == ["forfeit-not-accepted"]
    assert await harness.outbox() == []
    asking = asyncio.create_task(
        harness.member.post(f"{path}/cancel", json={"accept_forfeit": True}, headers={"Prefer": "wait=10"})
    )
    await harness.session_of(SessionCancelled)
    await harness.handle(Answers.credit_forfeited(session, "cancelled"))
    answer = await asking
    assert (answer.status_code, answer.json()["credit"]) == (200, {"state": "forfeited"})


@pytest.mark.rule("CANC-2", "SEC-3")
async def test_the_remark_of_a_cancellation_is_for_the_two_parties_alone(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    canary = "a private remark"
    await harness.provider.post(f"{path}/cancel", json={"remark": canary})
    events = await harness.outbox()
    assert names(events) == ["SessionCancelled"]
    assert canary not in repr(events)
    for person, seen in ((harness.member, True), (harness.provider, True), (harness.support, False)):
        history = (await person.get(f"{path}/history")).text
        assert (canary in history) is seen
    async with harness.service.database.connections.loan() as connection:
        stored = await connection.fetch("SELECT headers, body FROM idempotency_keys")
    assert canary not in repr(stored)


@pytest.mark.rule("CANC-1")
async def test_a_booking_nobody_has_decided_yet_can_be_cancelled_at_no_cost(harness: BookingHarness) -> None:
    session = await harness.ask(NOW + HOUR)
    answer = await harness.member.post(f"/v1/sessions/{session['id']}/cancel")
    assert answer.json()["status"] == "cancelled"
    await harness.handle(Answers.slot_held(session))
    await harness.handle(Answers.credit_held(session))
    after = await harness.read(session)
    assert (after["status"], after["credit"]) == ("cancelled", {"state": "held"})
    await harness.handle(Answers.credit_returned(session, "cancelled"))
    assert (await harness.read(session))["credit"] == {"state": "returned"}


@pytest.mark.rule("CANC-4")
async def test_support_cancels_nothing(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    answer = await harness.support.post(f"/v1/sessions/{session['id']}/cancel")
    assert (answer.status_code, slug(answer)) == (403, "support-may-not")
    other = await harness.client("ops", "olga").post(f"/v1/sessions/{session['id']}/cancel")
    assert (other.status_code, slug(other)) == (403, "forbidden")
    assert (await harness.read(session))["status"] == "confirmed"


@pytest.mark.rule("JOIN-1")
async def test_joining_opens_ten_minutes_before_the_start(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}/join"
    harness.clock.moment = START - 10 * MINUTE - timedelta(seconds=1)
    early = await harness.member.post(path)
    assert (early.status_code, slug(early), early.json()["opens_at"]) == (
        409,
        "too-early-to-join",
        "2026-11-27T08:50:00Z",
    )
    harness.clock.moment = START - 10 * MINUTE
    joined = await harness.member.post(path)
    assert joined.status_code == 200
    assert joined.json()["session"]["id"] == session["id"]
    assert joined.json()["join_url"].startswith(f"http://127.0.0.1:8080/join/{session['id']}#")
    assert (await harness.member.post(path)).status_code == 200
    assert (await harness.provider.post(path)).status_code == 200
    assert names(await harness.outbox()) == ["ReconfirmationAsked", "SessionJoined", "SessionJoined"]
    assert (await harness.support.post(path)).status_code == 403


@pytest.mark.rule("JOIN-1", "JOIN-2")
async def test_a_session_both_attended_is_completed_at_its_end(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    harness.clock.moment = START - 5 * MINUTE
    await harness.member.post(f"{path}/join")
    await harness.provider.post(f"{path}/join")
    assert names(await harness.advance(START)) == ["SessionStarted"]
    assert (await harness.member.post(f"{path}/leave")).json()["status"] == "in_session"
    assert names(await harness.advance(END - MINUTE)) == []
    assert names(await harness.advance(END)) == ["SessionCompleted"]
    await harness.handle(Answers.credit_spent(session))
    after = await harness.read(session)
    assert (after["status"], after["credit"]) == ("completed", {"state": "spent"})
    items = (await harness.member.get(f"{path}/history")).json()["items"]
    assert [(item["type"], item["by"]) for item in items] == [
        ("SessionRequested", "member"),
        ("SessionReserved", "system"),
        ("SessionConfirmed", "provider"),
        ("ReconfirmationAsked", "system"),
        ("SessionJoined", "member"),
        ("SessionJoined", "provider"),
        ("SessionStarted", "system"),
        ("SessionLeft", "member"),
        ("SessionCompleted", "system"),
    ]
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    assert after["version"] == len(items)


@pytest.mark.rule("MISS-1", "MISS-4")
@pytest.mark.parametrize(("member_came", "absent"), [(True, "provider"), (False, "both")])
async def test_a_provider_who_does_not_come_misses_the_session_and_the_member_rebooks(
    harness: BookingHarness, member_came: bool, absent: str
) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    await harness.advance(START)
    if member_came:
        assert (await harness.member.post(f"{path}/join")).status_code == 200
    assert await harness.advance(START + 10 * MINUTE - timedelta(seconds=1)) == []
    (event,) = await harness.advance(START + 10 * MINUTE)
    assert isinstance(event, ProviderMissed)
    assert (event.absent_party, event.missed_at) == (absent, START + 10 * MINUTE)
    assert await harness.advance(START + 72 * HOUR) == []
    await harness.handle(Answers.credit_returned(session, "provider_missed"))
    missed = await harness.read(session)
    assert (missed["status"], missed["absent_party"], missed["credit"]) == (
        "provider_missed",
        absent,
        {"state": "returned"},
    )
    late = await harness.provider.post(f"{path}/join")
    assert (late.status_code, slug(late)) == (409, "session-over")
    policy = (await harness.member.get(f"{path}/policy")).json()
    assert (policy["cancellable"], policy["forfeits_now"]) == (False, False)
    # MISS-4: at once, with what the missed session says.
    again = await harness.member.post(
        "/v1/sessions",
        json={
            **{name: missed[name] for name in ("room_id", "length_minutes", "modality", "time_zone")},
            "starts_at": (START + 96 * HOUR).isoformat(),
        },
        headers={"Idempotency-Key": new_id()},
    )
    assert again.status_code == 202
    kept = ("room_id", "length_minutes", "modality", "provider_id")
    assert [again.json()[name] for name in kept] == [missed[name] for name in kept]


@pytest.mark.rule("NOSH-1")
async def test_a_member_who_does_not_come_is_a_no_show_apart_from_cancellations(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    await harness.advance(START)
    await harness.provider.post(f"/v1/sessions/{session['id']}/join")
    assert await harness.advance(START + 14 * MINUTE) == []
    (event,) = await harness.advance(START + 15 * MINUTE)
    assert isinstance(event, MemberNoShow)
    await harness.handle(Answers.credit_forfeited(session, "member_no_show"))
    after = await harness.read(session)
    assert (after["status"], after["absent_party"], after["credit"]) == (
        "member_no_show",
        "member",
        {"state": "forfeited"},
    )
    listed = (await harness.member.get("/v1/sessions", params={"status": "member_no_show"})).json()["items"]
    assert [item["id"] for item in listed] == [session["id"]]
    assert (await harness.member.get("/v1/sessions", params={"status": "cancelled"})).json()["items"] == []


@pytest.mark.rule("NOSH-1")
async def test_the_provider_marks_a_no_show_from_within_the_room_once_the_member_was_waited_for(
    harness: BookingHarness,
) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for moment in (START - HOUR, START + MINUTE):  # never there: nothing to mark, however soon
        await harness.advance(moment)
        absent = await harness.provider.post(f"{path}/no-show")
        assert (absent.status_code, slug(absent)) == (409, "no-show-not-possible")
    await harness.provider.post(f"{path}/join")
    early = await harness.provider.post(f"{path}/no-show")
    assert (early.status_code, slug(early)) == (409, "no-show-not-possible")
    await harness.advance(START + 10 * MINUTE)
    marked = await harness.provider.post(f"{path}/no-show")
    assert (marked.status_code, marked.json()["status"]) == (200, "member_no_show")
    assert (await harness.member.post(f"{path}/no-show")).status_code == 403


@pytest.mark.rule("SEC-1")
async def test_strangers_find_nothing(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for role in ("member", "provider"):
        stranger = harness.client(role, "stranger")
        for suffix in ("", "/policy", "/history"):
            answer = await stranger.get(path + suffix)
            assert (answer.status_code, slug(answer)) == (404, "not-found")
        allowed = (
            ("cancel", "join", "leave")
            if role == "member"
            else ("cancel", "join", "leave", "confirm", "decline", "no-show")
        )
        for action in allowed:
            assert (await stranger.post(f"{path}/{action}")).status_code == 404
        assert (await stranger.get("/v1/sessions")).json()["items"] == []
        assert (await stranger.get(f"/v1/rooms/{session['room_id']}")).status_code == 404
    # The right subject in the wrong role is a stranger, too.
    assert (await harness.client("provider", "anna").get(path)).status_code == 404
    for action in ("confirm", "decline", "no-show"):
        assert (await harness.member.post(f"{path}/{action}")).status_code == 403
    ops = harness.client("ops", "olga")
    assert (await ops.get(path)).status_code == 403
    for bad in (new_id(), "kitchen", "%00", "0" * 36):
        assert (await harness.member.get(f"/v1/sessions/{bad}")).status_code == 404
        assert (await harness.member.post(f"/v1/sessions/{bad}/cancel")).status_code == 404
        assert (await harness.member.get(f"/v1/rooms/{bad}")).status_code == 404


@pytest.mark.parametrize("body", [{"colour": 1}, {"accept_forfeit": "yes"}, {"remark": 5}, {"remark": "x" * 2001}])
async def test_a_bad_cancellation_is_refused(harness: BookingHarness, body: Any) -> None:
    session = await harness.confirmed()
    answer = await harness.member.post(f"/v1/sessions/{session['id']}/cancel", json=body)
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert (await harness.read(session))["status"] == "confirmed"


async def test_a_tag_that_a_read_gave_is_good_for_a_change_and_for_reading_again(harness: BookingHarness) -> None:
    session = await harness.reserved()
    path = f"/v1/sessions/{session['id']}"
    tag = (await harness.member.get(path)).headers["etag"]
    assert (await harness.member.get(path, headers={"If-None-Match": tag})).status_code == 304
    confirmed = await harness.provider.post(f"{path}/confirm", headers={"If-Match": tag})
    assert confirmed.status_code == 200, confirmed.text
    changed = await harness.member.get(path, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["status"]) == (200, "confirmed")
    stale = await harness.member.post(f"{path}/cancel", headers={"If-Match": tag})
    assert (stale.status_code, slug(stale)) == (412, "version-mismatch")


async def test_pages_neither_skip_nor_repeat(harness: BookingHarness) -> None:
    made = [await harness.ask(START + timedelta(hours=n // 2)) for n in range(7)]
    other = await harness.room("bea")
    await harness.client("member", "bea").post(
        "/v1/sessions", json=harness.booking_body(other), headers={"Idempotency-Key": new_id()}
    )
    for person, params, expected in (
        (harness.member, {}, 7),
        (harness.provider, {}, 8),
        (harness.support, {"room_id": made[0]["room_id"]}, 7),
        (harness.member, {"from": (START + HOUR).isoformat(), "to": (START + 2 * HOUR).isoformat()}, 2),
        (harness.member, {"status": ["requested", "reserved"]}, 7),
        (harness.member, {"status": "completed"}, 0),
    ):
        seen: list[tuple[str, str]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await person.get("/v1/sessions", params={**params, "limit": 3, **cursor})
            assert answer.status_code == 200, answer.text
            seen += [(item["starts_at"], item["id"]) for item in answer.json()["items"]]
            if answer.json()["next_cursor"] is None:
                break
            cursor = {"cursor": answer.json()["next_cursor"]}
        assert len(seen) == expected
        assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    "params", [{"from": "2026-11-27T10:00:00"}, {"status": "lost"}, {"limit": 0}, {"limit": 201}, {"cursor": "xyz"}]
)
async def test_a_bad_list_query_is_refused(harness: BookingHarness, params: dict[str, Any]) -> None:
    answer = await harness.member.get("/v1/sessions", params=params)
    assert (answer.status_code, slug(answer)) == (422, "validation")


async def test_the_openapi_document_names_every_path(harness: BookingHarness) -> None:
    document = (await harness.member.get("/v1/booking/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    actions = {
        f"/v1/sessions/{{session_id}}/{name}" for name in ("confirm", "decline", "cancel", "join", "leave", "no-show")
    }
    reads = {"/v1/sessions", "/v1/sessions/{session_id}/policy", "/v1/sessions/{session_id}/history"}
    assert actions | reads | {"/v1/rooms", "/v1/rooms/{room_id}/close", "/v1/policies/current"} <= set(
        document["paths"]
    )
