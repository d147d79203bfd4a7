"""A person's data: exported whole, erased whole, and every look at it written down (SEC-5)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from makegood_contracts import events as facts
from makegood_notifications.api.models import ExportView
from makegood_notifications.store import personal_data
from makegood_testkit.waiting import eventually

from .conftest import START, NotificationsHarness
from .test_reminders import enrolled

AT_ONCE = {"reason": "law_requires_it", "now": "true"}


async def story(harness: NotificationsHarness) -> None:
    """Both parties have a past."""
    await harness.everybody(phone="+49 30 123456", channels={"whatsapp": True})
    await harness.happen(enrolled(harness, ["email"]))
    await harness.confirmed()
    path = f"/v1/rooms/{harness.room_id}/messages"
    member = harness.client("member", harness.member)
    provider = harness.client("provider", harness.provider)
    headers = {"Idempotency-Key": "kept"}
    assert (await member.post(path, json={"text": "canary of Ada"}, headers=headers)).status_code == 201
    assert (await provider.post(path, json={"text": "canary of Grace"})).status_code == 201
    assert (await member.post(f"/v1/people/{harness.member}/calendar-feed")).status_code == 201


async def test_an_export_holds_everything_about_the_person_and_nothing_of_the_other(
    harness: NotificationsHarness,
) -> None:
    await story(harness)
    client = harness.client("member", harness.member)
    answer = await client.get(f"/v1/people/{harness.member}/export")
    assert answer.status_code == 200, answer.text
    held = answer.json()
    assert held["contact"]["email"] == harness.ada
    assert held["contact"]["phone"] == "+49 30 123456"
    assert [room["id"] for room in held["rooms"]] == [harness.room_id]
    assert [session["id"] for session in held["sessions"]] == [harness.session_id]
    assert [message["text"] for message in held["messages"] if message["kind"] == "text"] == ["canary of Ada"]
    assert {delivery["channel"] for delivery in held["deliveries"]} == {"email", "whatsapp", "chat"}
    assert held["enrolments"][0]["plan_kind"] == "sponsored"
    assert set(held["calendar_feed"]) == {"made_at"}
    assert [access["operation"] for access in held["accesses"]] == [
        "contact.write",
        "message.write",
        "message.write",
        "calendar.follow",
        "person.export",
    ]
    assert "canary of Grace" not in answer.text
    assert harness.grace not in answer.text


async def test_an_export_of_any_length_is_whole(harness: NotificationsHarness) -> None:
    """It is read a page at a time: each row once, and the last page may be full."""
    await story(harness)
    client = harness.client("member", harness.member)
    answer = await client.get(f"/v1/people/{harness.member}/export")
    assert answer.headers["content-type"] == "application/json"
    whole = answer.json()
    ExportView.model_validate(whole)
    assert whole["sessions"]
    assert len({row["id"] for row in whole["accesses"]}) == len(whole["accesses"])
    for name in personal_data.LISTS:
        for count in (1, 2, 3):
            pages = [page async for page in personal_data.pages(harness.database, harness.member, name, at_once=count)]
            assert all(len(page) == count for page in pages[:-1])
            assert msgspec.to_builtins([row for page in pages for row in page]) == whole[name]


@pytest.mark.rule("SEC-1")
async def test_who_may_export_and_erase(harness: NotificationsHarness) -> None:
    await story(harness)
    for subject, role, export, erase in (
        ("member-eve", "member", 404, 404), (harness.provider, "provider", 404, 404), ("ops-1", "ops", 403, 403),
        ("support-1", "support", 403, 204),
    ):  # fmt: skip
        client = harness.client(role, subject)
        assert (await client.get(f"/v1/people/{harness.member}/export")).status_code == export
        asked = await client.delete(f"/v1/people/{harness.member}", params=AT_ONCE)
        assert asked.status_code == erase
    client = harness.client("member", harness.member)
    assert (await client.get(f"/v1/people/{harness.member}/contact")).status_code == 404


@pytest.mark.rule("NOTE-3", "SEC-3")
async def test_an_erasure_leaves_no_detail_no_word_no_subject_and_no_address(harness: NotificationsHarness) -> None:
    await story(harness)
    client = harness.client("support", "support-1")
    path, once = f"/v1/people/{harness.member}", {"Idempotency-Key": "once"}
    stale = await client.delete(path, params=AT_ONCE, headers={"If-Match": '"9"'})
    erased = await client.delete(path, params=AT_ONCE, headers=once)
    again = await client.delete(path, params=AT_ONCE, headers=once)
    client = harness.client("member", harness.member)
    held = (await client.get(f"/v1/people/{harness.member}/export")).json()
    chat = (await client.get(f"/v1/rooms/{harness.room_id}/messages")).json()["items"]
    assert (stale.status_code, erased.status_code, again.status_code) == (412, 204, 204)
    assert held["contact"] is None
    assert held["calendar_feed"] is None
    assert held["erased_at"] is not None
    assert [message["text"] for message in chat if message["sender_id"] == harness.member] == [""]
    assert [message["text"] for message in chat if message["sender_id"] == harness.provider] == ["canary of Grace"]
    async with harness.sending():  # what was queued is not sent
        await harness.settled()
    assert [mail for mail in harness.inbox.mails if mail["To"].addresses[0].addr_spec == harness.ada] == []
    assert await harness.whatsapp.messages() == []
    tables = await harness.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    for (table,) in tables:
        rows = str([tuple(row) for row in await harness.rows(f'SELECT * FROM "{table}"')]).lower()
        for canary in ("ada canary", harness.ada, "canary of ada", "+49 30 123456"):
            assert canary not in rows, table
    events = await harness.rows("SELECT payload FROM outbox WHERE headers LIKE '%PersonErased%'")
    assert len(events) == 1
    assert harness.member.encode() in events[0][0]


async def test_news_after_an_erasure_is_not_sent_and_a_new_contact_begins_anew(harness: NotificationsHarness) -> None:
    await story(harness)
    client = harness.client("support", "support-1")
    assert (await client.delete(f"/v1/people/{harness.member}", params=AT_ONCE)).status_code == 204
    await harness.happen(harness.missed())
    async with harness.sending():
        await harness.settled()
        assert [mail for mail in harness.inbox.mails if mail["To"].addresses[0].addr_spec == harness.ada] == []
        await harness.register(harness.member, "Ada again", harness.ada)
        await harness.happen(harness.missed())
        await harness.inbox.wait_for(harness.ada, 1)


@pytest.mark.rule("NOTE-2", "NOTE-3")
@pytest.mark.parametrize("goes", ["out", "not out"])
async def test_a_mail_in_hand_while_its_person_is_erased_is_recorded_as_what_became_of_it(
    harness: NotificationsHarness, goes: str
) -> None:
    await harness.only_member()
    await harness.confirmed()
    if goes == "not out":
        harness.inbox.answers = ["451 4.3.0 later"]
    harness.inbox.answering.clear()
    async with harness.sending():
        await harness.inbox.wait_seen(1)
        client = harness.client("support", "support-1")
        assert (await client.delete(f"/v1/people/{harness.member}", params=AT_ONCE)).status_code == 204
        await harness.register(harness.member, "Somebody new", harness.ada)
        harness.inbox.answering.set()
        if goes == "not out":
            await eventually(lambda: harness.rows("SELECT FROM deliveries WHERE reason IS NULL AND status = 'queued'"))
            await harness.rows("UPDATE deliveries SET next_attempt_at = now() WHERE status = 'queued'")
            harness.dependencies.email_worker.wake()
        await harness.settled()
    sent = await harness.rows(
        "SELECT status, reason, subject FROM deliveries WHERE channel = 'email' AND person_id = $1", harness.member
    )
    assert [tuple(row) for row in sent] == [("sent", None, None) if goes == "out" else ("skipped", "erased", None)]
    assert len(harness.inbox.mails) == (1 if goes == "out" else 0)


@pytest.mark.rule("SEC-5")
async def test_every_look_at_personal_data_leaves_a_row_of_who_what_and_why(harness: NotificationsHarness) -> None:
    await story(harness)
    member, provider = harness.member, harness.provider
    client = harness.client("member", member)
    await client.get(f"/v1/people/{member}/contact")
    await client.get(f"/v1/rooms/{harness.room_id}/messages")
    await client.get(f"/v1/people/{member}/messages")
    await client.get(f"/v1/people/{member}/export")
    await client.get(f"/v1/sessions/{harness.session_id}/calendar.ics")
    client = harness.client("support", "support-1")
    why = {"X-Access-Reason": "complaint; ticket 4711"}
    await client.get("/v1/deliveries", params={"session_id": harness.session_id}, headers=why)
    await client.delete(f"/v1/people/{member}", params=AT_ONCE)
    found = (await client.get("/v1/notifications/access", params={"person_id": member})).json()["items"]
    theirs = (await client.get("/v1/notifications/access", params={"person_id": provider})).json()["items"]
    rows = [(row["caller"], row["operation"], row["reason"], row["remark"]) for row in reversed(found)]
    assert rows == [
        (member, "contact.write", None, None),
        (member, "message.write", None, None),
        (provider, "message.write", None, None),
        (member, "calendar.follow", None, None),
        (member, "contact.read", None, None),
        (member, "message.read", None, None),
        (member, "inbox.read", None, None),
        (member, "person.export", None, None),
        (member, "calendar.read", None, None),
        ("support-1", "delivery.list", "complaint", None),  # the words went with the person
        ("support-1", "person.erase", "support_request", None),
    ]
    assert [row["operation"] for row in reversed(theirs)][:5] == [
        "contact.write",
        "message.write",
        "message.write",
        "message.read",
        "calendar.read",
    ]


@pytest.mark.rule("NOTE-1")
async def test_messages_in_the_app_are_listed_for_their_person_in_their_language(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.register(harness.provider, "Dr. Grace Canary", harness.grace, locale="de")
    await harness.confirmed()
    await harness.happen(harness.cancelled("member"))
    path = f"/v1/people/{harness.provider}/messages"
    provider = harness.client("provider", harness.provider)
    member = harness.client("member", harness.member)
    (message,) = (await provider.get(path)).json()["items"]
    assert (await member.get(path)).status_code == 404
    assert (await member.get(f"/v1/people/{harness.member}/messages")).json()["items"] == []
    assert message["template"] == "to-provider-cancelled"
    assert message["title"] == "Eine Sitzung ist abgesagt"
    assert message["text"].startswith("Ada Canary hat diese Sitzung abgesagt.")
    assert message["session_id"] == harness.session_id


@pytest.mark.rule("ROOM-4")
async def test_that_somebody_wrote_is_published_in_order_and_never_what(harness: NotificationsHarness) -> None:
    await harness.reserved()
    member = harness.client("member", harness.member)
    provider = harness.client("provider", harness.provider)
    for client in (member, provider, member):
        await client.post(f"/v1/rooms/{harness.room_id}/messages", json={"text": "canary"})
    rows = await harness.rows("SELECT headers, payload FROM outbox WHERE topic LIKE '%messages%' ORDER BY id")
    assert [f'"ce_sequence","{number}"' in row[0] for number, row in enumerate(rows, start=1)] == [True] * 3
    assert [harness.member.encode() in row[1] for row in rows] == [True, False, True]
    assert not any(b"canary" in row[1] for row in rows)


async def ready(harness: NotificationsHarness, **body: Any) -> Any:
    client = harness.client("member", harness.member)
    return await client.post(f"/v1/rooms/{harness.room_id}/time-request", json=body)


def published(harness: NotificationsHarness, specialty: Any) -> Any:
    return facts.SchedulePublished(
        provider_id=harness.provider, schedule_version=1, time_zone="UTC", specialty=specialty, session_types=[],
        minimum_notice_minutes=0, horizon_days=30,
    )  # fmt: skip


@pytest.mark.rule("AVAIL-5", "PLAN-1")
@pytest.mark.parametrize(
    ("plan", "specialty", "asked", "length"),
    [
        ({}, "therapy", {}, "45"),
        ({}, "psychiatry", {}, "15 or 60"),
        ({}, "psychiatry", {"length_minutes": 60}, "60"),
        ({"lengths": [60, 45]}, "therapy", {}, "45 or 60"),
    ],
)
async def test_the_ready_message_names_the_length_that_the_plan_includes(
    harness: NotificationsHarness, plan: dict[str, Any], specialty: str, asked: dict[str, Any], length: str
) -> None:
    await harness.everybody()
    await harness.reserved()
    await harness.happen(enrolled(harness, ["email"], **plan), published(harness, specialty))
    answer = await ready(harness, **asked)
    assert answer.status_code == 201, answer.text
    message = answer.json()
    assert message["text"].startswith("I can’t find a time that works for me.")
    assert f"sessions of {length} minutes" in message["text"]
    assert (message["kind"], message["sender_id"], message["template"]) == ("text", harness.member, "time-request")
    client = harness.client("provider", harness.provider)
    assert (await client.get(f"/v1/rooms/{harness.room_id}/messages")).json()["items"][0] == message
    assert len(await harness.rows("SELECT 1 FROM outbox WHERE headers LIKE '%MessagePosted%'")) == 1


@pytest.mark.rule("AVAIL-5")
@pytest.mark.parametrize(
    ("plan", "body", "problem"),
    [
        ({}, {"length_minutes": 60}, "length-not-in-plan"),
        ({"lengths": []}, {}, "plan-excludes-live-sessions"),
        ({"ends_on": "2026-11-01"}, {}, "coverage-ended"),
    ],
)
async def test_the_ready_message_is_not_sent_where_the_plan_has_no_such_session(
    harness: NotificationsHarness, plan: dict[str, Any], body: dict[str, Any], problem: str
) -> None:
    from datetime import date

    if "ends_on" in plan:
        plan = {"ends_on": date.fromisoformat(plan["ends_on"])}
    await harness.reserved()
    await harness.happen(enrolled(harness, ["email"], **plan))
    answer = await ready(harness, **body)
    assert (answer.status_code, answer.json()["type"]) == (409, f"/problems/{problem}")


@pytest.mark.rule("AVAIL-5", "SEC-1")
async def test_the_ready_message_is_the_members_and_for_an_open_room(harness: NotificationsHarness) -> None:
    await harness.reserved()
    await harness.happen(enrolled(harness, ["email"]))
    path = f"/v1/rooms/{harness.room_id}/time-request"
    for subject, role, status in (
        (harness.provider, "provider", 403), ("member-eve", "member", 404), ("support-1", "support", 403),
    ):  # fmt: skip
        client = harness.client(role, subject)
        assert (await client.post(path, json={})).status_code == status
    for body in ({"length_minutes": 0}, {"length_minutes": "45"}, {"minutes": 45}):
        assert (await ready(harness, **body)).status_code == 422
    closed = facts.RoomClosed(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=2, closed_at=START
    )
    await harness.happen(closed)
    assert (await ready(harness)).json()["type"] == "/problems/room-closed"


@pytest.mark.rule("AVAIL-5")
async def test_a_member_of_whom_no_plan_is_known_sends_it_without_a_length(harness: NotificationsHarness) -> None:
    await harness.reserved()
    answer = await ready(harness)
    assert answer.status_code == 201
    assert answer.json()["text"] == "I can’t find a time that works for me. Could you offer me another time?"
