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

from .conftest import START, World
from .test_changes import text
from .test_messages import parts
from .test_personal_data import AT_ONCE

pytestmark = pytest.mark.rule("CANC-1", "CANC-2", "NOTE-1", "SEC-3")

REMARK = "https://example.org is <b>where</b> I am.\r\nI am ill, a canary says."
SHOWN = ["https://example.org is <b>where</b> I am.", "I am ill, a canary says."]


async def published(world: World, person: str) -> list[str]:
    """The public halves that booking was told, oldest first."""
    rows = await world.rows("SELECT payload FROM outbox WHERE headers LIKE '%RemarkKeyPublished%' ORDER BY id")
    told = [json.loads(row[0]) for row in rows]
    return [one["public_key"] for one in told if one["person_id"] == person]


async def cancelled(world: World, by: str, remark: str = REMARK, *, session_id: str | None = None) -> Any:
    """What booking tells of a cancellation whose remark is to be shared."""
    author = world.member if by == "member" else world.provider
    session = session_id or world.session_id
    sealed = seal_letter((await published(world, author))[-1], Letter("SessionCancelled", session, author), remark)
    return world.session(
        facts.SessionCancelled, session_id=session, cancelled_by=by, cancelled_at=START, forfeits=False,
        was_confirmed=True, sealed_remark=sealed,
    )  # fmt: skip


async def messages(world: World) -> list[Any]:
    async with world.client(world.member) as client:
        answer = await client.get(f"/v1/rooms/{world.room_id}/messages")
    return list(reversed(answer.json()["items"]))


@pytest.mark.parametrize(("by", "words"), [("member", "Ada Canary wrote:"), ("provider", "Dr. Grace Canary wrote:")])
async def test_the_other_party_reads_it_in_mail_and_chat_as_its_authors_words(
    world: World, by: str, words: str
) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.happen(await cancelled(world, by))
        await world.settled()
    author, reader = (world.ada, world.grace) if by == "member" else (world.grace, world.ada)
    to_reader = [mail for mail in world.inbox.mails if mail["To"].addresses[0].addr_spec == reader][-1]
    lines = parts(to_reader)["text/plain"].get_content().splitlines()
    place = lines.index(words)
    assert lines[place + 1 : place + 3] == [f"> {line}" for line in SHOWN]
    html = parts(to_reader)["text/html"].get_content()
    assert "&lt;b&gt;where&lt;/b&gt;" in html
    assert 'href="https://example.org' not in html
    for mail in world.inbox.mails:
        if mail["To"].addresses[0].addr_spec == author:
            assert "canary says" not in text(mail), "its author knows what they wrote"
    said, system = (await messages(world))[-2:]
    assert (system["kind"], system["template"]) == ("system", f"session-cancelled-by-{by}")
    assert (said["kind"], said["template"]) == ("text", "cancellation-remark")
    assert said["sender_id"] == (world.member if by == "member" else world.provider)
    assert said["text"].splitlines() == SHOWN


async def test_the_providers_own_list_has_it(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    await world.happen(await cancelled(world, "member"))
    async with world.client(world.provider, "provider") as client:
        items = (await client.get(f"/v1/people/{world.provider}/messages")).json()["items"]
    found = [item["text"] for item in items if item["template"] == "to-provider-cancelled"]
    assert ["Ada Canary wrote:", *(f"> {line}" for line in SHOWN)] == found[0].splitlines()[1:4]


async def test_it_stands_in_the_clear_nowhere_and_comes_once(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    event = world.received(await cancelled(world, "member"))
    await world.arrive([event])
    await world.arrive([event])
    assert not any(b"canary says" in row[0] for row in await world.rows("SELECT payload FROM outbox"))
    for table in ("deliveries", "chat_messages", "stream"):
        assert "canary says" not in repr(await world.rows(f"SELECT t::text FROM {table} AS t"))
    assert [one["template"] for one in await messages(world)].count("cancellation-remark") == 1


@pytest.mark.parametrize("queued", [False, True])
async def test_once_its_author_is_erased_nothing_opens_it(world: World, queued: bool) -> None:
    """Neither the copy in the topic nor the one in the queue: the message goes out without it."""
    await world.everybody()
    await world.confirmed()
    event = await cancelled(world, "member")
    if queued:
        await world.happen(event)
    async with world.client("support-1", "support") as client:
        assert (await client.delete(f"/v1/people/{world.member}", params=AT_ONCE)).status_code == 204
    if not queued:
        await world.happen(event)
    async with world.sending():
        await world.settled()
    told = [mail for mail in world.inbox.mails if mail["Subject"] == "One of your sessions is cancelled."]
    assert len(told) == 1
    assert "canary says" not in text(told[0])
    assert "wrote:" not in text(told[0])
    async with world.client(world.provider, "provider") as client:
        chat = (await client.get(f"/v1/rooms/{world.room_id}/messages")).json()["items"]
        inbox = (await client.get(f"/v1/people/{world.provider}/messages")).text
    assert "canary says" not in repr(chat) + inbox
    assert await world.rows("SELECT 1 FROM personal_keys WHERE person_id = $1", world.member) == []


async def test_who_comes_back_has_another_key_and_old_words_stay_closed(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    old = await cancelled(world, "member")
    async with world.client("support-1", "support") as client:
        await client.delete(f"/v1/people/{world.member}", params=AT_ONCE)
    await world.register(world.member, "Ada Canary", world.ada)
    first, second = await published(world, world.member)
    assert first != second
    await world.happen(old)
    assert [one for one in await messages(world) if one["template"] == "cancellation-remark"] == []


@pytest.mark.parametrize("sealed", ["", "no base64", "AAAA"])
async def test_what_cannot_be_opened_is_left_out_of_the_message(world: World, sealed: str) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        event = world.cancelled("provider")
        await world.happen(
            facts.SessionCancelled(
                **{name: getattr(event, name) for name in event.__struct_fields__} | {"sealed_remark": sealed}
            )
        )
        await world.settled()
    (mail,) = [one for one in world.inbox.mails if one["Subject"] == "Your provider cancelled your session."]
    assert "wrote:" not in text(mail)


async def test_a_remark_of_another_session_does_not_open(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    foreign = await cancelled(world, "member", session_id=new_id())
    event = world.cancelled("member")
    await world.happen(
        facts.SessionCancelled(
            **{name: getattr(event, name) for name in event.__struct_fields__}
            | {"sealed_remark": foreign.sealed_remark}
        )
    )
    assert [one for one in await messages(world) if one["template"] == "cancellation-remark"] == []


async def test_the_key_is_told_with_the_first_contact_alone_and_of_people_known_before_by_the_worker(
    world: World,
) -> None:
    await world.everybody()
    await world.register(world.member, "Ada Canary", world.ada)
    (key,) = await published(world, world.member)
    assert await seal_all(world.service, [remarks.publish_missing]) == 0
    await world.rows("UPDATE people SET key_published = false RETURNING id")
    assert await seal_all(world.service, [remarks.publish_missing]) == 2
    assert await seal_all(world.service, [remarks.publish_missing]) == 0
    assert await published(world, world.member) == [key, key]
    sequences = await world.rows(
        "SELECT headers FROM outbox WHERE key = $1 AND headers LIKE '%RemarkKeyPublished%'", world.member
    )
    assert len({row[0] for row in sequences}) == 2


async def test_a_lost_key_costs_one_remark_and_the_new_one_is_told(world: World) -> None:
    """Such as after a backup was restored that leaves keys out."""
    await world.everybody()
    await world.confirmed()
    lost = await cancelled(world, "member")
    await world.rows("DELETE FROM personal_keys RETURNING person_id")
    await world.happen(lost)
    assert [one for one in await messages(world) if one["template"] == "cancellation-remark"] == []
    assert await seal_all(world.service, [remarks.publish_missing]) == 1
    old, new = await published(world, world.member)
    assert old != new
    world.session_id = new_id()
    await world.confirmed()
    await world.happen(await cancelled(world, "member"))
    (said,) = [one for one in await messages(world) if one["template"] == "cancellation-remark"]
    assert said["text"].splitlines() == SHOWN


async def test_whoever_comes_back_is_understood_at_once_by_a_process_that_knew_the_old_key(world: World) -> None:
    await world.everybody()
    await world.confirmed()
    async with world.client(world.provider, "provider") as client:
        await client.post(f"/v1/rooms/{world.room_id}/messages", json={"text": "Hello."})
    assert await messages(world), "the key is remembered from now on"
    async with world.service.database.transaction(Cause.begin()) as unit:
        other = PersonalData.of(unit.personal_data.master_keys)
        await other.destroy(unit, [world.provider])
        await unit.execute("UPDATE people SET key_published = false")
    assert await seal_all(world.service, [remarks.publish_missing]) == 2
    async with world.sending():
        await world.happen(await cancelled(world, "provider"))
        await world.settled()
    (mail,) = [one for one in world.inbox.mails if one["Subject"] == "Your provider cancelled your session."]
    assert "canary says" in text(mail)


async def test_two_processes_at_once_tell_each_key_once(world: World) -> None:
    await world.everybody()
    await world.rows("UPDATE people SET key_published = false RETURNING id")
    await asyncio.gather(*(seal_all(world.service, [remarks.publish_missing]) for _ in range(4)))
    assert len(await published(world, world.member)) == len(await published(world, world.provider)) == 2
