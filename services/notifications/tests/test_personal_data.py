"""A person's data: exported whole, erased whole, and every look at it written down (SEC-5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_notifications.api.models import ExportView
from makegood_notifications.store import personal_data

from .conftest import START, World, eventually
from .test_reminders import enrolled

AT_ONCE = {"reason": "law_requires_it", "now": "true"}


async def story(world: World) -> None:
    """Both parties have a past."""
    await world.everybody(phone="+49 30 123456", channels={"whatsapp": True})
    await world.happen(enrolled(world, ["email"]))
    await world.confirmed()
    path = f"/v1/rooms/{world.room_id}/messages"
    async with world.client(world.member) as member, world.client(world.provider, "provider") as provider:
        headers = {"Idempotency-Key": "kept"}
        assert (await member.post(path, json={"text": "canary of Ada"}, headers=headers)).status_code == 201
        assert (await provider.post(path, json={"text": "canary of Grace"})).status_code == 201
        assert (await member.post(f"/v1/people/{world.member}/calendar-feed")).status_code == 201


async def test_an_export_holds_everything_about_the_person_and_nothing_of_the_other(world: World) -> None:
    await story(world)
    async with world.client(world.member) as client:
        answer = await client.get(f"/v1/people/{world.member}/export")
    assert answer.status_code == 200, answer.text
    held = answer.json()
    assert held["contact"]["email"] == world.ada
    assert held["contact"]["phone"] == "+49 30 123456"
    assert [room["id"] for room in held["rooms"]] == [world.room_id]
    assert [session["id"] for session in held["sessions"]] == [world.session_id]
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
    assert world.grace not in answer.text


async def test_an_export_of_any_length_is_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read a page at a time: each row once, and the last page may be full."""
    await story(world)
    path = f"/v1/people/{world.member}/export"
    async with world.client(world.member) as client:
        whole = (await client.get(path)).json()
        for count in (1, 2, 3):
            monkeypatch.setattr(personal_data, "_AT_ONCE", count)
            answer = await client.get(path)
            found = answer.json()
            assert answer.headers["content-type"] == "application/json"
            ExportView.model_validate(found)
            assert len(found["accesses"]) == len(whole["accesses"]) + count
            for name in personal_data.LISTS[:-1]:
                assert found[name] == whole[name]
            assert found["sessions"]
            assert len({row["id"] for row in found["accesses"]}) == len(found["accesses"])


@pytest.mark.rule("SEC-1")
async def test_who_may_export_and_erase(world: World) -> None:
    await story(world)
    for subject, role, export, erase in (
        ("member-eve", "member", 404, 404), (world.provider, "provider", 404, 404), ("ops-1", "ops", 403, 403),
        ("support-1", "support", 403, 204),
    ):  # fmt: skip
        async with world.client(subject, role) as client:
            assert (await client.get(f"/v1/people/{world.member}/export")).status_code == export
            asked = await client.delete(f"/v1/people/{world.member}", params=AT_ONCE)
            assert asked.status_code == erase
    async with world.client(world.member) as client:
        assert (await client.get(f"/v1/people/{world.member}/contact")).status_code == 404


@pytest.mark.rule("NOTE-3", "SEC-3")
async def test_an_erasure_leaves_no_detail_no_word_no_subject_and_no_address(world: World) -> None:
    await story(world)
    async with world.client("support-1", "support") as client:
        path, once = f"/v1/people/{world.member}", {"Idempotency-Key": "once"}
        stale = await client.delete(path, params=AT_ONCE, headers={"If-Match": '"9"'})
        erased = await client.delete(path, params=AT_ONCE, headers=once)
        again = await client.delete(path, params=AT_ONCE, headers=once)
    async with world.client(world.member) as client:
        held = (await client.get(f"/v1/people/{world.member}/export")).json()
        chat = (await client.get(f"/v1/rooms/{world.room_id}/messages")).json()["items"]
    assert (stale.status_code, erased.status_code, again.status_code) == (412, 204, 204)
    assert held["contact"] is None
    assert held["calendar_feed"] is None
    assert held["erased_at"] is not None
    assert [message["text"] for message in chat if message["sender_id"] == world.member] == [""]
    assert [message["text"] for message in chat if message["sender_id"] == world.provider] == ["canary of Grace"]
    async with world.sending():  # what was queued is not sent
        await world.settled()
    assert [mail for mail in world.inbox.mails if mail["To"].addresses[0].addr_spec == world.ada] == []
    assert await world.whatsapp.messages() == []
    tables = await world.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    for (table,) in tables:
        rows = str([tuple(row) for row in await world.rows(f'SELECT * FROM "{table}"')]).lower()
        for canary in ("ada canary", world.ada, "canary of ada", "+49 30 123456"):
            assert canary not in rows, table
    events = await world.rows("SELECT payload FROM outbox WHERE headers LIKE '%PersonErased%'")
    assert len(events) == 1
    assert world.member.encode() in events[0][0]


async def test_news_after_an_erasure_is_not_sent_and_a_new_contact_begins_anew(world: World) -> None:
    await story(world)
    async with world.client("support-1", "support") as client:
        assert (await client.delete(f"/v1/people/{world.member}", params=AT_ONCE)).status_code == 204
    await world.happen(world.missed())
    async with world.sending():
        await world.settled()
        assert [mail for mail in world.inbox.mails if mail["To"].addresses[0].addr_spec == world.ada] == []
        await world.register(world.member, "Ada again", world.ada)
        await world.happen(world.missed())
        await world.inbox.wait_for(world.ada, 1)


@pytest.mark.rule("NOTE-2", "NOTE-3")
@pytest.mark.parametrize("goes", ["out", "not out"])
async def test_a_mail_in_hand_while_its_person_is_erased_is_recorded_as_what_became_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, goes: str
) -> None:
    await world.only_member()
    await world.confirmed()
    if goes == "not out":
        world.inbox.answers = ["451 4.3.0 later"]
    email_worker = world.service.dependencies.email_worker
    real, attempted, held = email_worker._finish.submit, asyncio.Event(), asyncio.Event()

    async def hold(outcome: Any) -> None:
        attempted.set()
        await held.wait()
        await real(outcome)

    monkeypatch.setattr(email_worker._finish, "submit", hold)
    async with world.sending():
        await attempted.wait()
        async with world.client("support-1", "support") as client:
            assert (await client.delete(f"/v1/people/{world.member}", params=AT_ONCE)).status_code == 204
        await world.register(world.member, "Somebody new", world.ada)
        held.set()
        if goes == "not out":
            await eventually(lambda: world.rows("SELECT FROM deliveries WHERE reason IS NULL AND status = 'queued'"))
            await world.rows("UPDATE deliveries SET next_attempt_at = now() WHERE status = 'queued'")
            email_worker.wake()
        await world.settled()
    sent = await world.rows(
        "SELECT status, reason, subject FROM deliveries WHERE channel = 'email' AND person_id = $1", world.member
    )
    assert [tuple(row) for row in sent] == [("sent", None, None) if goes == "out" else ("skipped", "erased", None)]
    assert len(world.inbox.mails) == (1 if goes == "out" else 0)


@pytest.mark.rule("SEC-5")
async def test_every_look_at_personal_data_leaves_a_row_of_who_what_and_why(world: World) -> None:
    await story(world)
    member, provider = world.member, world.provider
    async with world.client(member) as client:
        await client.get(f"/v1/people/{member}/contact")
        await client.get(f"/v1/rooms/{world.room_id}/messages")
        await client.get(f"/v1/people/{member}/messages")
        await client.get(f"/v1/people/{member}/export")
        await client.get(f"/v1/sessions/{world.session_id}/calendar.ics")
    async with world.client("support-1", "support") as client:
        why = {"X-Access-Reason": "complaint; ticket 4711"}
        await client.get("/v1/deliveries", params={"session_id": world.session_id}, headers=why)
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
async def test_messages_in_the_app_are_listed_for_their_person_in_their_language(world: World) -> None:
    await world.everybody()
    await world.register(world.provider, "Dr. Grace Canary", world.grace, locale="de")
    await world.confirmed()
    await world.happen(world.cancelled("member"))
    path = f"/v1/people/{world.provider}/messages"
    async with world.client(world.provider, "provider") as provider, world.client(world.member) as member:
        (message,) = (await provider.get(path)).json()["items"]
        assert (await member.get(path)).status_code == 404
        assert (await member.get(f"/v1/people/{world.member}/messages")).json()["items"] == []
    assert message["template"] == "to-provider-cancelled"
    assert message["title"] == "Eine Sitzung ist abgesagt"
    assert message["text"].startswith("Ada Canary hat diese Sitzung abgesagt.")
    assert message["session_id"] == world.session_id


@pytest.mark.rule("ROOM-4")
async def test_that_somebody_wrote_is_published_in_order_and_never_what(world: World) -> None:
    await world.reserved()
    async with world.client(world.member) as member, world.client(world.provider, "provider") as provider:
        for client in (member, provider, member):
            await client.post(f"/v1/rooms/{world.room_id}/messages", json={"text": "canary"})
    rows = await world.rows("SELECT headers, payload FROM outbox WHERE topic LIKE '%messages%' ORDER BY id")
    assert [f'"ce_sequence","{number}"' in row[0] for number, row in enumerate(rows, start=1)] == [True] * 3
    assert [world.member.encode() in row[1] for row in rows] == [True, False, True]
    assert not any(b"canary" in row[1] for row in rows)


async def ready(world: World, **body: Any) -> Any:
    async with world.client(world.member) as client:
        return await client.post(f"/v1/rooms/{world.room_id}/time-request", json=body)


def published(world: World, specialty: Any) -> Any:
    return facts.SchedulePublished(
        provider_id=world.provider, schedule_version=1, time_zone="UTC", specialty=specialty, session_types=[],
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
    world: World, plan: dict[str, Any], specialty: str, asked: dict[str, Any], length: str
) -> None:
    await world.everybody()
    await world.reserved()
    await world.happen(enrolled(world, ["email"], **plan), published(world, specialty))
    answer = await ready(world, **asked)
    assert answer.status_code == 201, answer.text
    message = answer.json()
    assert message["text"].startswith("I can’t find a time that works for me.")
    assert f"sessions of {length} minutes" in message["text"]
    assert (message["kind"], message["sender_id"], message["template"]) == ("text", world.member, "time-request")
    async with world.client(world.provider, "provider") as client:
        assert (await client.get(f"/v1/rooms/{world.room_id}/messages")).json()["items"][0] == message
    assert len(await world.rows("SELECT 1 FROM outbox WHERE headers LIKE '%MessagePosted%'")) == 1


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
    world: World, plan: dict[str, Any], body: dict[str, Any], problem: str
) -> None:
    from datetime import date

    if "ends_on" in plan:
        plan = {"ends_on": date.fromisoformat(plan["ends_on"])}
    await world.reserved()
    await world.happen(enrolled(world, ["email"], **plan))
    answer = await ready(world, **body)
    assert (answer.status_code, answer.json()["type"]) == (409, f"/problems/{problem}")


@pytest.mark.rule("AVAIL-5", "SEC-1")
async def test_the_ready_message_is_the_members_and_for_an_open_room(world: World) -> None:
    await world.reserved()
    await world.happen(enrolled(world, ["email"]))
    path = f"/v1/rooms/{world.room_id}/time-request"
    for subject, role, status in (
        (world.provider, "provider", 403), ("member-eve", "member", 404), ("support-1", "support", 403),
    ):  # fmt: skip
        async with world.client(subject, role) as client:
            assert (await client.post(path, json={})).status_code == status
    for body in ({"length_minutes": 0}, {"length_minutes": "45"}, {"minutes": 45}):
        assert (await ready(world, **body)).status_code == 422
    closed = facts.RoomClosed(
        room_id=world.room_id, member_id=world.member, provider_id=world.provider, room_version=2, closed_at=START
    )
    await world.happen(closed)
    assert (await ready(world)).json()["type"] == "/problems/room-closed"


@pytest.mark.rule("AVAIL-5")
async def test_a_member_of_whom_no_plan_is_known_sends_it_without_a_length(world: World) -> None:
    await world.reserved()
    answer = await ready(world)
    assert answer.status_code == 201
    assert answer.json()["text"] == "I can’t find a time that works for me. Could you offer me another time?"
