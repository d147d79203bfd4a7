"""Erasing a person: with a reason, after a wait in which it can be taken back, and in every copy of their words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from makegood_notifications.store import chat
from makegood_testkit.service import received

from .conftest import NotificationsHarness
from .test_personal_data import AT_ONCE, story

WAIT = timedelta(days=7)
ABOUT_TO_BE, KEPT = "Your data is about to be erased.", "Your data will not be erased."


async def erased_events(harness: NotificationsHarness) -> int:
    rows = await harness.rows("SELECT FROM outbox WHERE headers LIKE '%PersonErased%'")
    return len(rows)


async def contact_status(harness: NotificationsHarness) -> int:
    client = harness.client("member", harness.member)
    return (await client.get(f"/v1/people/{harness.member}/contact")).status_code


@pytest.mark.rule("SEC-3")
async def test_an_erasure_waits_for_seven_days_and_the_person_is_told(harness: NotificationsHarness) -> None:
    await story(harness)
    path = f"/v1/people/{harness.member}"
    client = harness.client("member", harness.member)
    async with harness.sending():
        assert (await client.delete(path)).status_code == 422, "a reason is needed"
        assert (await client.get(f"{path}/erasure")).json()["state"] == "none"
        asked = await client.delete(path, params={"reason": "person_asked"})
        again = await client.delete(path, params={"reason": "consent_withdrawn"})
        seen = await client.get(f"{path}/erasure")
        await harness.settled()
    assert (asked.status_code, again.status_code) == (202, 202)
    assert asked.json() == again.json() == seen.json()
    assert (asked.json()["state"], asked.json()["reason"]) == ("pending", "person_asked")
    told = [mail for mail in harness.inbox.mails if mail["Subject"] == "Your data is about to be erased."]
    assert [mail["To"].addresses[0].addr_spec for mail in told] == [harness.ada]
    due = "SELECT kind FROM deadlines WHERE kind = 'erasure' AND due_at <= $1"
    harness.clock.moment += WAIT - timedelta(seconds=1)
    assert await harness.rows(due, harness.clock.now()) == []
    assert await contact_status(harness) == 200
    harness.clock.moment += timedelta(seconds=1)
    assert "erasure" in await harness.handle_due()
    assert await contact_status(harness) == 404
    assert await erased_events(harness) == 1
    client = harness.client("support", "support-1")
    done = (await client.get(f"{path}/erasure")).json()
    assert (done["state"], done["reason"], done["requested_by"]) == ("erased", "person_asked", harness.member)


@pytest.mark.rule("SEC-3")
@pytest.mark.parametrize("by", ["the person", "support"])
async def test_an_erasure_that_is_taken_back_does_not_happen(harness: NotificationsHarness, by: str) -> None:
    await story(harness)
    path = f"/v1/people/{harness.member}"
    member, support = harness.client("member", harness.member), harness.client("support", "support-1")
    client = member if by == "the person" else support
    assert (await client.delete(path, params={"reason": "no_longer_needed"})).status_code == 202
    assert (await client.delete(f"{path}/erasure")).status_code == 204
    assert (await client.delete(f"{path}/erasure")).status_code == 204
    assert (await client.get(f"{path}/erasure")).json()["state"] == "none"
    harness.clock.moment += WAIT
    assert "erasure" not in await harness.handle_due()
    assert await contact_status(harness) == 200


@pytest.mark.rule("SEC-3")
async def test_asking_and_taking_back_again_and_again_sends_one_mail_a_day_of_each(
    harness: NotificationsHarness,
) -> None:
    await story(harness)
    path = f"/v1/people/{harness.member}"

    def told() -> list[str]:
        subjects = [mail["Subject"] for mail in harness.inbox.mails]
        return sorted(subject for subject in subjects if subject in (ABOUT_TO_BE, KEPT))

    client = harness.client("member", harness.member)
    async with harness.sending():
        for _ in range(20):
            assert (await client.delete(path, params={"reason": "person_asked"})).status_code == 202
            assert (await client.get(f"{path}/erasure")).json()["state"] == "pending"
            assert (await client.delete(f"{path}/erasure")).status_code == 204
            assert (await client.get(f"{path}/erasure")).json()["state"] == "none"
            await harness.settled()
        assert told() == [ABOUT_TO_BE, KEPT]
        harness.clock.moment += timedelta(days=1)
        await client.delete(path, params={"reason": "person_asked"})
        await harness.settled()
    assert told() == [ABOUT_TO_BE, ABOUT_TO_BE, KEPT]


@pytest.mark.rule("SEC-1", "SEC-3")
async def test_support_takes_back_only_what_support_asked_for_and_the_person_is_told(
    harness: NotificationsHarness,
) -> None:
    await story(harness)
    path = f"/v1/people/{harness.member}"
    member = harness.client("member", harness.member)
    one = harness.client("support", "support-1")
    other = harness.client("support", "support-2")
    async with (
        harness.sending(),
    ):
        await member.delete(path, params={"reason": "person_asked"})
        refused = await one.delete(f"{path}/erasure")
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")
        assert (await member.get(f"{path}/erasure")).json()["state"] == "pending"
        await harness.settled()
        assert [mail for mail in harness.inbox.mails if mail["Subject"] == KEPT] == []
        assert (await member.delete(f"{path}/erasure")).status_code == 204
        assert (await one.delete(f"{path}/erasure")).status_code == 204, "there is nothing to take back"
        harness.clock.moment += timedelta(days=1)
        await one.delete(path, params={"reason": "no_longer_needed"})
        assert (await other.delete(f"{path}/erasure")).status_code == 204
        await harness.settled()
    kept = [mail["To"].addresses[0].addr_spec for mail in harness.inbox.mails if mail["Subject"] == KEPT]
    assert kept == [harness.ada, harness.ada]


@pytest.mark.rule("SEC-1", "SEC-3")
async def test_only_support_erases_without_the_wait_and_only_where_the_law_requires_it(
    harness: NotificationsHarness,
) -> None:
    await story(harness)
    path = f"/v1/people/{harness.member}"
    member = harness.client("member", harness.member)
    support = harness.client("support", "support-1")
    assert (await member.delete(path, params=AT_ONCE)).status_code == 403
    assert (await support.delete(path, params={"reason": "person_asked", "now": "true"})).status_code == 422
    assert (await support.delete(path, params={"reason": "because"})).status_code == 422
    assert await contact_status(harness) == 200
    assert (await member.delete(path, params={"reason": "person_asked"})).status_code == 202
    assert (await support.delete(path, params=AT_ONCE)).status_code == 204
    assert await erased_events(harness) == 1
    harness.clock.moment += WAIT
    assert "erasure" not in await harness.handle_due()
    assert await erased_events(harness) == 1


@pytest.mark.rule("SEC-3")
async def test_what_a_backup_brings_back_after_an_erasure_can_be_read_by_nobody(harness: NotificationsHarness) -> None:
    """The chat's rows as a backup without the table of keys holds them."""
    await story(harness)
    backup = await harness.rows("SELECT id, sealed FROM chat_messages WHERE sender_id = $1", harness.member)
    assert len(backup) == 1
    support = harness.client("support", "support-1")
    assert (await support.delete(f"/v1/people/{harness.member}", params=AT_ONCE)).status_code == 204
    for row in backup:
        await harness.rows("UPDATE chat_messages SET sealed = $2 WHERE id = $1", row["id"], row["sealed"])

    async def read() -> list[Any]:
        client = harness.client("member", harness.member)
        items = (await client.get(f"/v1/rooms/{harness.room_id}/messages")).json()["items"]
        return [item["text"] for item in items if item["sender_id"] == harness.member]

    assert await read() == [""]
    await harness.register(harness.member, "Ada again", harness.ada)
    client = harness.client("member", harness.member)
    path = f"/v1/rooms/{harness.room_id}/messages"
    assert (await client.post(path, json={"text": "anew"})).status_code == 201
    assert await read() == ["anew", ""]


@pytest.mark.rule("SEC-3")
async def test_messages_of_an_older_version_are_sealed_by_the_worker(harness: NotificationsHarness) -> None:
    await story(harness)
    await harness.rows(
        "UPDATE chat_messages SET sealed = NULL, text = 'old words of ' || sender_id WHERE kind = 'text'"
    )
    client = harness.client("provider", harness.provider)
    path = f"/v1/rooms/{harness.room_id}/messages"
    before = (await client.get(path)).json()
    async with harness.database.transaction(received(harness.missed()).cause) as unit:
        assert await chat.seal_messages(unit, 1) == 1
        assert await chat.seal_messages(unit, 10) == 1
        assert await chat.seal_messages(unit, 10) == 0
    assert (await client.get(path)).json() == before
    assert "old words" not in str([tuple(row) for row in await harness.rows("SELECT * FROM chat_messages")])
    assert [item["text"] for item in before["items"] if item["kind"] == "text"] == [
        f"old words of {harness.provider}", f"old words of {harness.member}",
    ]  # fmt: skip


@pytest.mark.rule("REL-4", "SEC-3")
async def test_a_repeated_message_gets_its_first_answer_which_is_kept_sealed(harness: NotificationsHarness) -> None:
    await story(harness)
    path = f"/v1/rooms/{harness.room_id}/messages"
    client = harness.client("member", harness.member)
    again = await client.post(path, json={"text": "canary of Ada"}, headers={"Idempotency-Key": "kept"})
    assert (again.status_code, again.json()["text"], again.headers["idempotent-replayed"]) == (
        201,
        "canary of Ada",
        "true",
    )
    rows = await harness.rows("SELECT body, sealed_for FROM idempotency_keys WHERE key = 'kept'")
    assert [row["sealed_for"] for row in rows] == [harness.member]
    assert b"canary" not in rows[0]["body"]
