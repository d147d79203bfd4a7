"""What a party wrote when it cancelled, in the message to the other one: opened here alone, and by nobody after an erasure."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from makegood_chassis.personal_data.letters import Letter, seal_letter
from makegood_chassis.personal_data.maintenance import seal_all
from makegood_chassis.personal_data.sealing import PersonalData
from makegood_contracts import events as facts
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id
from makegood_notifications.store import remarks
from makegood_testkit.service import received

from .conftest import START, NotificationsHarness
from .test_changes import text
from .test_messages import parts
from .test_personal_data import AT_ONCE

pytestmark = pytest.mark.rule("CANC-1", "CANC-2", "NOTE-1", "SEC-3")

REMARK = "https://example.org is <b>where</b> I am.\r\nI am ill, a canary says."
SHOWN = ["https://example.org is <b>where</b> I am.", "I am ill, a canary says."]


async def published(harness: NotificationsHarness, person: str) -> list[str]:
    """The public halves that booking was told, oldest first."""
    rows = await harness.rows("SELECT payload FROM outbox WHERE headers LIKE '%RemarkKeyPublished%' ORDER BY id")
    told = [json.loads(row[0]) for row in rows]
    return [one["public_key"] for one in told if one["person_id"] == person]


async def cancelled(
    harness: NotificationsHarness, by: str, remark: str = REMARK, *, session_id: str | None = None
) -> Any:
    """What booking tells of a cancellation whose remark is to be shared."""
    author = harness.member if by == "member" else harness.provider
    session = session_id or harness.session_id
    sealed = seal_letter((await published(harness, author))[-1], Letter("SessionCancelled", session, author), remark)
    return harness.session(
        facts.SessionCancelled, session_id=session, cancelled_by=by, cancelled_at=START, forfeits=False,
        was_confirmed=True, sealed_remark=sealed,
    )  # fmt: skip


async def messages(harness: NotificationsHarness) -> list[Any]:
    client = harness.client("member", harness.member)
    answer = await client.get(f"/v1/rooms/{harness.room_id}/messages")
    return list(reversed(answer.json()["items"]))


@pytest.mark.parametrize(("by", "words"), [("member", "Ada Canary wrote:"), ("provider", "Dr. Grace Canary wrote:")])
async def test_the_other_party_reads_it_in_mail_and_chat_as_its_authors_words(
    harness: NotificationsHarness, by: str, words: str
) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(await cancelled(harness, by))
        await harness.settled()
    author, reader = (harness.ada, harness.grace) if by == "member" else (harness.grace, harness.ada)
    to_reader = [mail for mail in harness.inbox.mails if mail["To"].addresses[0].addr_spec == reader][-1]
    lines = parts(to_reader)["text/plain"].get_content().splitlines()
    place = lines.index(words)
    assert lines[place + 1 : place + 3] == [f"> {line}" for line in SHOWN]
    html = parts(to_reader)["text/html"].get_content()
    assert "&lt;b&gt;where&lt;/b&gt;" in html
    assert 'href="https://example.org' not in html
    for mail in harness.inbox.mails:
        if mail["To"].addresses[0].addr_spec == author:
            assert "canary says" not in text(mail), "its author knows what they wrote"
    said, system = (await messages(harness))[-2:]
    assert (system["kind"], system["template"]) == ("system", f"session-cancelled-by-{by}")
    assert (said["kind"], said["template"]) == ("text", "cancellation-remark")
    assert said["sender_id"] == (harness.member if by == "member" else harness.provider)
    assert said["text"].splitlines() == SHOWN


async def test_the_providers_own_list_has_it(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    await harness.happen(await cancelled(harness, "member"))
    client = harness.client("provider", harness.provider)
    items = (await client.get(f"/v1/people/{harness.provider}/messages")).json()["items"]
    found = [item["text"] for item in items if item["template"] == "to-provider-cancelled"]
    assert ["Ada Canary wrote:", *(f"> {line}" for line in SHOWN)] == found[0].splitlines()[1:4]


async def test_it_stands_in_the_clear_nowhere_and_comes_once(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    event = received(await cancelled(harness, "member"))
    await harness.handle(event)
    await harness.handle(event)
    assert not any(b"canary says" in row[0] for row in await harness.rows("SELECT payload FROM outbox"))
    for table in ("deliveries", "chat_messages", "stream"):
        assert "canary says" not in repr(await harness.rows(f"SELECT t::text FROM {table} AS t"))
    assert [one["template"] for one in await messages(harness)].count("cancellation-remark") == 1


@pytest.mark.parametrize("queued", [False, True])
async def test_once_its_author_is_erased_nothing_opens_it(harness: NotificationsHarness, queued: bool) -> None:
    """Neither the copy in the topic nor the one in the queue: the message goes out without it."""
    await harness.everybody()
    await harness.confirmed()
    event = await cancelled(harness, "member")
    if queued:
        await harness.happen(event)
    client = harness.client("support", "support-1")
    assert (await client.delete(f"/v1/people/{harness.member}", params=AT_ONCE)).status_code == 204
    if not queued:
        await harness.happen(event)
    async with harness.sending():
        await harness.settled()
    told = [mail for mail in harness.inbox.mails if mail["Subject"] == "One of your sessions is cancelled."]
    assert len(told) == 1
    assert "canary says" not in text(told[0])
    assert "wrote:" not in text(told[0])
    client = harness.client("provider", harness.provider)
    chat = (await client.get(f"/v1/rooms/{harness.room_id}/messages")).json()["items"]
    inbox = (await client.get(f"/v1/people/{harness.provider}/messages")).text
    assert "canary says" not in repr(chat) + inbox
    assert await harness.rows("SELECT 1 FROM personal_keys WHERE person_id = $1", harness.member) == []


async def test_who_comes_back_has_another_key_and_old_words_stay_closed(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    old = await cancelled(harness, "member")
    client = harness.client("support", "support-1")
    await client.delete(f"/v1/people/{harness.member}", params=AT_ONCE)
    await harness.register(harness.member, "Ada Canary", harness.ada)
    first, second = await published(harness, harness.member)
    assert first != second
    await harness.happen(old)
    assert [one for one in await messages(harness) if one["template"] == "cancellation-remark"] == []


@pytest.mark.parametrize("sealed", ["", "no base64", "AAAA"])
async def test_what_cannot_be_opened_is_left_out_of_the_message(harness: NotificationsHarness, sealed: str) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        event = harness.cancelled("provider")
        await harness.happen(
            facts.SessionCancelled(
                **{name: getattr(event, name) for name in event.__struct_fields__} | {"sealed_remark": sealed}
            )
        )
        await harness.settled()
    (mail,) = [one for one in harness.inbox.mails if one["Subject"] == "Your provider cancelled your session."]
    assert "wrote:" not in text(mail)


async def test_a_remark_of_another_session_does_not_open(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    foreign = await cancelled(harness, "member", session_id=new_id())
    event = harness.cancelled("member")
    await harness.happen(
        facts.SessionCancelled(
            **{name: getattr(event, name) for name in event.__struct_fields__}
            | {"sealed_remark": foreign.sealed_remark}
        )
    )
    assert [one for one in await messages(harness) if one["template"] == "cancellation-remark"] == []


async def test_the_key_is_told_with_the_first_contact_alone_and_of_people_known_before_by_the_worker(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    await harness.register(harness.member, "Ada Canary", harness.ada)
    (key,) = await published(harness, harness.member)
    assert await seal_all(harness.service, [remarks.publish_missing]) == 0
    await harness.rows("UPDATE people SET key_published = false RETURNING id")
    assert await seal_all(harness.service, [remarks.publish_missing]) == 2
    assert await seal_all(harness.service, [remarks.publish_missing]) == 0
    assert await published(harness, harness.member) == [key, key]
    sequences = await harness.rows(
        "SELECT headers FROM outbox WHERE key = $1 AND headers LIKE '%RemarkKeyPublished%'", harness.member
    )
    assert len({row[0] for row in sequences}) == 2


async def test_a_lost_key_costs_one_remark_and_the_new_one_is_told(harness: NotificationsHarness) -> None:
    """Such as after a backup was restored that leaves keys out."""
    await harness.everybody()
    await harness.confirmed()
    lost = await cancelled(harness, "member")
    await harness.rows("DELETE FROM personal_keys RETURNING person_id")
    await harness.happen(lost)
    assert [one for one in await messages(harness) if one["template"] == "cancellation-remark"] == []
    assert await seal_all(harness.service, [remarks.publish_missing]) == 1
    old, new = await published(harness, harness.member)
    assert old != new
    harness.session_id = new_id()
    await harness.confirmed()
    await harness.happen(await cancelled(harness, "member"))
    (said,) = [one for one in await messages(harness) if one["template"] == "cancellation-remark"]
    assert said["text"].splitlines() == SHOWN


async def test_whoever_comes_back_is_understood_at_once_by_a_process_that_knew_the_old_key(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    await harness.confirmed()
    client = harness.client("provider", harness.provider)
    await client.post(f"/v1/rooms/{harness.room_id}/messages", json={"text": "Hello."})
    assert await messages(harness), "the key is remembered from now on"
    async with harness.database.transaction(Cause.begin()) as unit:
        other = PersonalData.of(unit.personal_data.master_keys)
        await other.destroy(unit, [harness.provider])
        await unit.execute("UPDATE people SET key_published = false")
    assert await seal_all(harness.service, [remarks.publish_missing]) == 2
    async with harness.sending():
        await harness.happen(await cancelled(harness, "provider"))
        await harness.settled()
    (mail,) = [one for one in harness.inbox.mails if one["Subject"] == "Your provider cancelled your session."]
    assert "canary says" in text(mail)


async def test_two_processes_at_once_tell_each_key_once(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.rows("UPDATE people SET key_published = false RETURNING id")
    await asyncio.gather(*(seal_all(harness.service, [remarks.publish_missing]) for _ in range(4)))
    assert len(await published(harness, harness.member)) == len(await published(harness, harness.provider)) == 2
