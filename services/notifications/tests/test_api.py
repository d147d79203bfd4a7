"""Contacts, chat and deliveries over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_testkit.waiting import eventually

from .conftest import START, NotificationsHarness

CONTACT = {"name": "Ada", "email": "ada@example.org", "time_zone": "Europe/Berlin"}


async def test_a_contact_is_written_and_read_by_its_person(harness: NotificationsHarness) -> None:
    client = harness.client("member", harness.member)
    missing = await client.get(f"/v1/people/{harness.member}/contact")
    first = await client.put(
        f"/v1/people/{harness.member}/contact", json={**CONTACT, "phone": "+49 30 123456", "locale": "en-GB"}
    )
    stale = await client.put(f"/v1/people/{harness.member}/contact", json=CONTACT, headers={"If-Match": '"7"'})
    second = await client.put(f"/v1/people/{harness.member}/contact", json=CONTACT, headers={"If-Match": '"1"'})
    read = await client.get(f"/v1/people/{harness.member}/contact")
    assert missing.status_code == 404
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"')
    assert first.json()["channels"] == {"email": True, "whatsapp": False, "chat": True}
    assert stale.status_code == 412
    assert (second.status_code, read.headers["ETag"]) == (200, '"2"')
    assert read.json() == {
        "name": "Ada",
        "email": "ada@example.org",
        "phone": None,
        "time_zone": "Europe/Berlin",
        "locale": "en",
        "channels": {"email": True, "whatsapp": False, "chat": True},
        "pending_email": None,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "Ada\r\nBcc: all@example.org"},
        {"name": "a" * 201},
        {"email": "ada"},
        {"email": "ada@example.org\r\nRCPT TO:<x@y>"},
        {"email": "ada@-bad-.test"},
        {"email": "ädä@example.org"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "localtime"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": None},
        {"locale": "e n"},
        {"phone": "call me"},
        {"phone": "()--//"},
        {"phone": "0161 496 0000"},
        {"phone": "+1 123"},
        {"phone": "+999 123456789"},
        {"channels": {"pigeon": True}},
        {"channels": {"email": "yes"}},
        {"channels": {"email": 1}},
        {"channels": {"chat": "true"}},
        {"channels": {"whatsapp": None}},
        {"nickname": "A"},
    ],
    ids=str,
)
async def test_a_contact_that_cannot_be_right_is_refused_whole(
    harness: NotificationsHarness, change: dict[str, Any]
) -> None:
    client = harness.client("member", harness.member)
    answer = await client.put(f"/v1/people/{harness.member}/contact", json={**CONTACT, **change})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/validation"
    assert (await client.get(f"/v1/people/{harness.member}/contact")).status_code == 404


@pytest.mark.parametrize("address", ["a@makegood.test", "a@mail.invalid", "a@localhost", "a.b+c@example.com"])
async def test_addresses_of_private_installations_are_taken(harness: NotificationsHarness, address: str) -> None:
    client = harness.client("member", harness.member)
    answer = await client.put(f"/v1/people/{harness.member}/contact", json={**CONTACT, "email": address})
    assert (answer.status_code, answer.json().get("email")) == (200, address)


@pytest.mark.rule("SEC-1")
async def test_nobody_reads_or_writes_what_is_not_theirs(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    contact, chat = f"/v1/people/{harness.member}/contact", f"/v1/rooms/{harness.room_id}/messages"
    strangers = [("member-eve", "member"), ("provider-eve", "provider"), (harness.member, "provider")]
    for subject, role in strangers:
        client = harness.client(role, subject)
        if subject != harness.member:
            assert (await client.get(contact)).status_code == 404
            assert (await client.put(contact, json=CONTACT)).status_code == 404
            assert (await client.get("/v1/deliveries", params={"person_id": harness.member})).status_code == 404
            assert (await client.get("/v1/deliveries")).json()["items"] == []
        assert (await client.get(chat)).status_code == 404
        assert (await client.post(chat, json={"text": "hello"})).status_code == 404
    for role in ("support", "ops"):
        client = harness.client(role, f"{role}-1")
        assert (await client.get(contact)).status_code == 403
        assert (await client.get(chat)).status_code == 403
        assert (await client.post(chat, json={"text": "hello"})).status_code == 403
        assert (await client.get("/v1/deliveries")).status_code == (200 if role == "support" else 403)
        assert (await client.get("/v1/stream")).status_code == 403
    client = harness.client()
    assert {(await client.get(path)).status_code for path in (contact, chat, "/v1/deliveries", "/v1/stream")} == {401}


@pytest.mark.rule("ROOM-4")
async def test_both_parties_write_and_read_newest_first_page_by_page(harness: NotificationsHarness) -> None:
    await harness.confirmed()
    path = f"/v1/rooms/{harness.room_id}/messages"
    member = harness.client("member", harness.member)
    provider = harness.client("provider", harness.provider)
    for number in range(6):
        writer = (member, provider)[number % 2]
        answer = await writer.post(path, json={"text": f"line {number}\nand more ✓"})
        assert answer.status_code == 201, answer.text
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await provider.get(path, params={"limit": 2, **cursor})).json()
        seen += page["items"]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
        await member.post(path, json={"text": "in between"})  # must not shift the older pages
    assert [item["kind"] for item in seen] == ["text"] * 6 + ["system"]
    assert [item["text"][5] for item in seen[:6]] == list("543210")
    assert set(seen[0]) == {"id", "room_id", "kind", "template", "text", "sender_id", "sent_at"}
    assert (seen[0]["sender_id"], seen[1]["sender_id"]) == (harness.provider, harness.member)
    assert (seen[6]["template"], seen[6]["sender_id"]) == ("session-confirmed", None)


@pytest.mark.rule("REL-4")
async def test_a_repeated_message_is_written_once(harness: NotificationsHarness) -> None:
    await harness.reserved()
    path, key = f"/v1/rooms/{harness.room_id}/messages", {"Idempotency-Key": "once"}
    client = harness.client("member", harness.member)
    first = await client.post(path, json={"text": "hello"}, headers=key)
    again = await client.post(path, json={"text": "hello"}, headers=key)
    other = await client.post(path, json={"text": "other"}, headers=key)
    items = (await client.get(path)).json()["items"]
    matching = await client.post(path, json={"text": "hello"}, headers={"If-Match": '"1"'})
    assert (first.json(), first.status_code) == (again.json(), again.status_code)
    assert "location" not in first.headers  # no address shows one message
    assert matching.status_code == 412
    assert other.status_code == 422
    assert len(items) == 1


@pytest.mark.parametrize("text", ["", "   ", "a" * 4001, "nul \x00", "bell \x07", 7, None], ids=repr)
async def test_a_message_nobody_can_read_is_refused(harness: NotificationsHarness, text: Any) -> None:
    await harness.reserved()
    path = f"/v1/rooms/{harness.room_id}/messages"
    client = harness.client("member", harness.member)
    assert (await client.post(path, json={"text": text})).status_code == 422
    assert (await client.get(path)).json()["items"] == []


async def test_a_closed_room_is_read_only(harness: NotificationsHarness) -> None:
    await harness.reserved()
    closed = facts.RoomClosed(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=2, closed_at=START
    )
    await harness.happen(closed)
    path = f"/v1/rooms/{harness.room_id}/messages"
    client = harness.client("member", harness.member)
    refused = await client.post(path, json={"text": "hello?"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/room-closed")
    assert (await client.get(path)).status_code == 200


async def test_a_message_right_after_the_rooms_opening_waits_for_the_news(harness: NotificationsHarness) -> None:
    client = harness.client("member", harness.member)
    posting = asyncio.create_task(client.post(f"/v1/rooms/{harness.room_id}/messages", json={"text": "first!"}))
    await eventually(lambda: harness.service.signals.is_awaited(f"room:{harness.room_id}"))
    await harness.reserved()
    assert (await posting).status_code == 201


@pytest.mark.rule("ROOM-1", "ROOM-4")
async def test_a_message_right_after_the_restart_waits_for_the_news(harness: NotificationsHarness) -> None:
    await harness.reserved()
    room: dict[str, Any] = {"room_id": harness.room_id, "member_id": harness.member, "provider_id": harness.provider}
    await harness.happen(facts.RoomClosed(**room, room_version=2, closed_at=START))
    client = harness.client("member", harness.member)
    posting = asyncio.create_task(client.post(f"/v1/rooms/{harness.room_id}/messages", json={"text": "back!"}))
    await eventually(lambda: harness.service.signals.is_awaited(f"room:{harness.room_id}"))
    await harness.happen(facts.RoomRestarted(**room, room_version=3, restarted_at=START))
    assert (await posting).status_code == 201


@pytest.mark.parametrize(
    "room_id",
    [
        "no-uuid",
        "6f2b7c1e-0000-4000-8000-000000000000",
        "urn:uuid:6f2b7c1e-0000-4000-8000-000000000000",
        "6f2b7c1e-0000-4000-8000-0000_0000_00",
        "6f2b7c1e-0000-4000-8000-\uff10\uff10\uff10000000000",
    ],
)
async def test_a_room_that_does_not_exist_is_not_found(harness: NotificationsHarness, room_id: str) -> None:
    client = harness.client("member", harness.member)
    assert (await client.get(f"/v1/rooms/{room_id}/messages")).status_code == 404
    assert (await client.post(f"/v1/rooms/{room_id}/messages", json={"text": "Hello?"})).status_code == 404
    listed = await client.get("/v1/deliveries", params={"session_id": room_id})
    assert (listed.status_code, listed.json()["items"]) == (200, [])
    assert (await client.get("/v1/people/no one/contact")).status_code == 404
    support = harness.client("support", "support-1")
    listed = await support.get("/v1/deliveries", params={"person_id": f"no one {room_id}" * 9})
    assert (listed.status_code, listed.json()["items"]) == (200, [])


async def test_deliveries_tell_what_was_sent_to_whom(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.missed())
        await harness.settled()
    member = harness.client("member", harness.member)
    support = harness.client("support", "support-1")
    mine = (await member.get("/v1/deliveries")).json()["items"]
    found = (await support.get("/v1/deliveries", params={"session_id": harness.session_id})).json()["items"]
    same = [one for one in found if one["person_id"] == harness.member]
    none = (await support.get("/v1/deliveries", params={"session_id": new_id()})).json()["items"]
    paged = (await support.get("/v1/deliveries", params={"person_id": harness.member, "limit": 3})).json()
    bad = await support.get("/v1/deliveries", params={"cursor": "tampered"})
    rest = (
        await support.get("/v1/deliveries", params={"person_id": harness.member, "cursor": paged["next_cursor"]})
    ).json()
    assert mine == same == paged["items"] + rest["items"]
    assert none == []
    assert bad.status_code == 422
    assert {(one["channel"], one["template"], one["status"]) for one in mine} == {
        (channel, template, "sent")
        for channel in ("email", "chat")
        for template in ("session-confirmed", "provider-missed")
    }
    (missed,) = [one for one in mine if (one["channel"], one["template"]) == ("email", "provider-missed")]
    assert missed["subject"] == "Your provider missed your scheduled session."
    assert missed["session_id"] == harness.session_id
    assert missed["sent_at"].endswith("Z")
    assert set(missed) == {"id", "person_id", "channel", "template", "subject", "status", "session_id", "sent_at"}
