"""Erasing a person: with a reason, after a wait in which it can be taken back, and in every copy of their words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from makegood_notifications.store import chat

from .conftest import World
from .test_personal_data import AT_ONCE, story

WAIT = timedelta(days=7)
ABOUT_TO_BE, KEPT = "Your data is about to be erased.", "Your data will not be erased."


async def erased_events(world: World) -> int:
    rows = await world.rows("SELECT FROM outbox WHERE headers LIKE '%PersonErased%'")
    return len(rows)


async def contact_status(world: World) -> int:
    async with world.client(world.member) as client:
        return (await client.get(f"/v1/people/{world.member}/contact")).status_code


@pytest.mark.rule("SEC-3")
async def test_an_erasure_waits_for_seven_days_and_the_person_is_told(world: World) -> None:
    await story(world)
    path = f"/v1/people/{world.member}"
    async with world.sending(), world.client(world.member) as client:
        assert (await client.delete(path)).status_code == 422, "a reason is needed"
        assert (await client.get(f"{path}/erasure")).json()["state"] == "none"
        asked = await client.delete(path, params={"reason": "person_asked"})
        again = await client.delete(path, params={"reason": "consent_withdrawn"})
        seen = await client.get(f"{path}/erasure")
        await world.settled()
    assert (asked.status_code, again.status_code) == (202, 202)
    assert asked.json() == again.json() == seen.json()
    assert (asked.json()["state"], asked.json()["reason"]) == ("pending", "person_asked")
    told = [mail for mail in world.inbox.mails if mail["Subject"] == "Your data is about to be erased."]
    assert [mail["To"].addresses[0].addr_spec for mail in told] == [world.ada]
    due = "SELECT kind FROM deadlines WHERE kind = 'erasure' AND due_at <= $1"
    world.clock.moment += WAIT - timedelta(seconds=1)
    assert await world.rows(due, world.clock.now()) == []
    assert await contact_status(world) == 200
    world.clock.moment += timedelta(seconds=1)
    assert "erasure" in await world.due()
    assert await contact_status(world) == 404
    assert await erased_events(world) == 1
    async with world.client("support-1", "support") as client:
        done = (await client.get(f"{path}/erasure")).json()
    assert (done["state"], done["reason"], done["requested_by"]) == ("erased", "person_asked", world.member)


@pytest.mark.rule("SEC-3")
@pytest.mark.parametrize("by", ["the person", "support"])
async def test_an_erasure_that_is_taken_back_does_not_happen(world: World, by: str) -> None:
    await story(world)
    path = f"/v1/people/{world.member}"
    who = (world.member, "member") if by == "the person" else ("support-1", "support")
    async with world.client(*who) as client:
        assert (await client.delete(path, params={"reason": "no_longer_needed"})).status_code == 202
        assert (await client.delete(f"{path}/erasure")).status_code == 204
        assert (await client.delete(f"{path}/erasure")).status_code == 204
        assert (await client.get(f"{path}/erasure")).json()["state"] == "none"
    world.clock.moment += WAIT
    assert "erasure" not in await world.due()
    assert await contact_status(world) == 200


@pytest.mark.rule("SEC-3")
async def test_asking_and_taking_back_again_and_again_sends_one_mail_a_day_of_each(world: World) -> None:
    await story(world)
    path = f"/v1/people/{world.member}"

    def told() -> list[str]:
        subjects = [mail["Subject"] for mail in world.inbox.mails]
        return sorted(subject for subject in subjects if subject in (ABOUT_TO_BE, KEPT))

    async with world.sending(), world.client(world.member) as client:
        for _ in range(20):
            assert (await client.delete(path, params={"reason": "person_asked"})).status_code == 202
            assert (await client.get(f"{path}/erasure")).json()["state"] == "pending"
            assert (await client.delete(f"{path}/erasure")).status_code == 204
            assert (await client.get(f"{path}/erasure")).json()["state"] == "none"
            await world.settled()
        assert told() == [ABOUT_TO_BE, KEPT]
        world.clock.moment += timedelta(days=1)
        await client.delete(path, params={"reason": "person_asked"})
        await world.settled()
    assert told() == [ABOUT_TO_BE, ABOUT_TO_BE, KEPT]


@pytest.mark.rule("SEC-1", "SEC-3")
async def test_support_takes_back_only_what_support_asked_for_and_the_person_is_told(world: World) -> None:
    await story(world)
    path = f"/v1/people/{world.member}"
    async with (
        world.sending(),
        world.client(world.member) as member,
        world.client("support-1", "support") as one,
        world.client("support-2", "support") as other,
    ):
        await member.delete(path, params={"reason": "person_asked"})
        refused = await one.delete(f"{path}/erasure")
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")
        assert (await member.get(f"{path}/erasure")).json()["state"] == "pending"
        await world.settled()
        assert [mail for mail in world.inbox.mails if mail["Subject"] == KEPT] == []
        assert (await member.delete(f"{path}/erasure")).status_code == 204
        assert (await one.delete(f"{path}/erasure")).status_code == 204, "there is nothing to take back"
        world.clock.moment += timedelta(days=1)
        await one.delete(path, params={"reason": "no_longer_needed"})
        assert (await other.delete(f"{path}/erasure")).status_code == 204
        await world.settled()
    kept = [mail["To"].addresses[0].addr_spec for mail in world.inbox.mails if mail["Subject"] == KEPT]
    assert kept == [world.ada, world.ada]


@pytest.mark.rule("SEC-1", "SEC-3")
async def test_only_support_erases_without_the_wait_and_only_where_the_law_requires_it(world: World) -> None:
    await story(world)
    path = f"/v1/people/{world.member}"
    async with world.client(world.member) as member, world.client("support-1", "support") as support:
        assert (await member.delete(path, params=AT_ONCE)).status_code == 403
        assert (await support.delete(path, params={"reason": "person_asked", "now": "true"})).status_code == 422
        assert (await support.delete(path, params={"reason": "because"})).status_code == 422
        assert await contact_status(world) == 200
        assert (await member.delete(path, params={"reason": "person_asked"})).status_code == 202
        assert (await support.delete(path, params=AT_ONCE)).status_code == 204
    assert await erased_events(world) == 1
    world.clock.moment += WAIT
    assert "erasure" not in await world.due()
    assert await erased_events(world) == 1


@pytest.mark.rule("SEC-3")
async def test_what_a_backup_brings_back_after_an_erasure_can_be_read_by_nobody(world: World) -> None:
    """The chat's rows as a backup without the table of keys holds them."""
    await story(world)
    backup = await world.rows("SELECT id, sealed FROM chat_messages WHERE sender_id = $1", world.member)
    assert len(backup) == 1
    async with world.client("support-1", "support") as support:
        assert (await support.delete(f"/v1/people/{world.member}", params=AT_ONCE)).status_code == 204
    for row in backup:
        await world.rows("UPDATE chat_messages SET sealed = $2 WHERE id = $1", row["id"], row["sealed"])

    async def read() -> list[Any]:
        async with world.client(world.member) as client:
            items = (await client.get(f"/v1/rooms/{world.room_id}/messages")).json()["items"]
        return [item["text"] for item in items if item["sender_id"] == world.member]

    assert await read() == [""]
    await world.register(world.member, "Ada again", world.ada)
    async with world.client(world.member) as client:
        path = f"/v1/rooms/{world.room_id}/messages"
        assert (await client.post(path, json={"text": "anew"})).status_code == 201
    assert await read() == ["anew", ""]


@pytest.mark.rule("SEC-3")
async def test_messages_of_an_older_version_are_sealed_by_the_worker(world: World) -> None:
    await story(world)
    await world.rows("UPDATE chat_messages SET sealed = NULL, text = 'old words of ' || sender_id WHERE kind = 'text'")
    async with world.client(world.provider, "provider") as client:
        path = f"/v1/rooms/{world.room_id}/messages"
        before = (await client.get(path)).json()
        async with world.service.database.transaction(world.received(world.missed()).cause) as unit:
            assert await chat.seal_messages(world.service, unit, 1) == 1
            assert await chat.seal_messages(world.service, unit, 10) == 1
            assert await chat.seal_messages(world.service, unit, 10) == 0
        assert (await client.get(path)).json() == before
    assert "old words" not in str([tuple(row) for row in await world.rows("SELECT * FROM chat_messages")])
    assert [item["text"] for item in before["items"] if item["kind"] == "text"] == [
        f"old words of {world.provider}", f"old words of {world.member}",
    ]  # fmt: skip


@pytest.mark.rule("REL-4", "SEC-3")
async def test_a_repeated_message_gets_its_first_answer_which_is_kept_sealed(world: World) -> None:
    await story(world)
    path = f"/v1/rooms/{world.room_id}/messages"
    async with world.client(world.member) as client:
        again = await client.post(path, json={"text": "canary of Ada"}, headers={"Idempotency-Key": "kept"})
    assert (again.status_code, again.json()["text"], again.headers["idempotent-replayed"]) == (
        201,
        "canary of Ada",
        "true",
    )
    rows = await world.rows("SELECT body, sealed_for FROM idempotency_keys WHERE key = 'kept'")
    assert [row["sealed_for"] for row in rows] == [world.member]
    assert b"canary" not in rows[0]["body"]
