"""A changed e-mail address: a link to the new one, a notice to the old one, and no change before the link is followed."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx

from .conftest import NotificationsHarness
from .test_changes import text

NEW = "new@example.org"
CONFIRM, NOTICE = "Please confirm your new e-mail address.", "Your e-mail address is about to change."


async def change(harness: NotificationsHarness, email: str = NEW, **more: Any) -> httpx.Response:
    body = {"name": "Ada Canary", "email": email, "time_zone": "America/New_York", **more}
    client = harness.client("member", harness.member)
    return await client.put(f"/v1/people/{harness.member}/contact", json=body)


async def confirm(harness: NotificationsHarness, token: str, person: str | None = None) -> httpx.Response:
    client = harness.client("member", person or harness.member)
    return await client.post(f"/v1/people/{person or harness.member}/contact/confirmations", json={"token": token})


async def contact(harness: NotificationsHarness) -> tuple[str, str | None]:
    client = harness.client("member", harness.member)
    held = (await client.get(f"/v1/people/{harness.member}/contact")).json()
    return held["email"], held["pending_email"]


def mails(harness: NotificationsHarness, subject: str) -> list[Any]:
    return [mail for mail in harness.inbox.mails if mail["Subject"] == subject]


def token_of(mail: Any) -> str:
    found = re.search(r"/contact/confirm#(\S+)", text(mail))
    assert found is not None
    return found[1]


async def test_a_new_address_counts_once_it_is_confirmed_and_the_old_one_is_told(harness: NotificationsHarness) -> None:
    await harness.everybody(channels={"email": False})  # also for somebody who wants no e-mails
    async with harness.sending():
        answer = await change(harness, channels={"email": False})
        await harness.settled()
        assert (answer.json()["email"], answer.json()["pending_email"]) == (harness.ada, NEW)
        assert await contact(harness) == (harness.ada, NEW)
        (link,), (notice,) = mails(harness, CONFIRM), mails(harness, NOTICE)
        assert [mail["To"].addresses[0].addr_spec for mail in (link, notice)] == [NEW, harness.ada]
        token = token_of(link)
        assert token not in text(notice)
        assert NEW not in text(notice)
        confirmed = await confirm(harness, token)
        assert (confirmed.status_code, confirmed.json()["email"], confirmed.json()["pending_email"]) == (200, NEW, None)
        assert (await confirm(harness, token)).json()["type"] == "/problems/confirmation-invalid", "single use"
        await change(harness, NEW, channels={"email": True})
        await harness.confirmed()
        await harness.inbox.wait_for(NEW, 2)
        await harness.settled()
    to = [
        mail["To"].addresses[0].addr_spec for mail in harness.inbox.mails if mail["Subject"].startswith("Your session")
    ]
    assert to == [NEW]


async def test_until_then_messages_go_to_the_old_address(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await change(harness)
        await harness.confirmed()
        await harness.settled()
    to = [
        mail["To"].addresses[0].addr_spec for mail in harness.inbox.mails if mail["Subject"].startswith("Your session")
    ]
    assert to == [harness.ada]


async def test_the_secret_is_kept_nowhere_and_confirms_once_however_many_try(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await change(harness)
        await harness.settled()
    token = token_of(mails(harness, CONFIRM)[0])
    for (table,) in await harness.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    ):
        assert token not in str([tuple(row) for row in await harness.rows(f'SELECT * FROM "{table}"')]), table
    answers = await asyncio.gather(*(confirm(harness, token) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9


async def test_a_link_of_somebody_else_an_old_one_or_a_late_one_confirms_nothing(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.register("member-eve", "Eve", "eve@example.org")
    async with harness.sending():
        await change(harness)
        await harness.settled()
        await change(harness, "newer@example.org")
        await harness.settled()
    first, second = (token_of(mail) for mail in mails(harness, CONFIRM))
    client = harness.client("member", harness.member)
    held = (await client.get(f"/v1/people/{harness.member}/export")).json()
    assert (held["contact_change"]["email"], held["erasure_request"]) == ("newer@example.org", None)
    assert (await confirm(harness, first)).status_code == 409
    assert (await confirm(harness, second, "member-eve")).status_code == 409
    assert (await confirm(harness, "x")).status_code == 409
    harness.clock.moment += timedelta(hours=48)
    assert (await confirm(harness, second)).status_code == 409
    assert await contact(harness) == (harness.ada, None)


async def test_a_contact_that_is_sent_back_as_it_was_read_changes_nothing(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await change(harness)
    client = harness.client("member", harness.member)
    path = f"/v1/people/{harness.member}/contact"
    read = (await client.get(path)).json()
    assert (await client.put(path, json=read)).json() == read
    other = await client.put(path, json={**read, "pending_email": "other@example.org"})
    assert other.json()["pending_email"] is None, "nothing is confirmed that no link was sent for"


async def test_going_back_to_the_old_address_takes_the_change_back(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await change(harness)
        await harness.settled()
        assert (await change(harness, harness.ada)).json()["pending_email"] is None
    assert (await confirm(harness, token_of(mails(harness, CONFIRM)[0]))).status_code == 409


async def test_a_contact_that_is_sent_again_sends_no_second_link_and_five_changes_a_day_are_enough(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    async with harness.sending():
        for _ in range(3):
            assert (await change(harness)).status_code == 200
        await harness.settled()
        for number in range(4):
            assert (await change(harness, f"other-{number}@example.org")).status_code == 200
            await harness.settled()
        refused = await change(harness, "victim@example.org")
        await harness.settled()
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-soon")
    assert len(mails(harness, CONFIRM)) == 5
    assert (await change(harness, "other-3@example.org", phone="+49 30 12345")).status_code == 200, (
        "the rest may change"
    )
    harness.clock.moment += timedelta(days=1)
    assert (await change(harness, "one-more@example.org")).status_code == 200


async def test_a_link_that_waits_in_the_queue_after_another_change_is_not_sent(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await change(harness)
    await change(harness, harness.ada)
    async with harness.sending():
        await harness.settled()
    assert mails(harness, CONFIRM) == []
