"""A changed e-mail address: a link to the new one, a notice to the old one, and no change before the link is followed."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx

from .conftest import World
from .test_changes import text

NEW = "new@example.org"
CONFIRM, NOTICE = "Please confirm your new e-mail address.", "Your e-mail address is about to change."


async def change(world: World, email: str = NEW, **more: Any) -> httpx.Response:
    body = {"name": "Ada Canary", "email": email, "time_zone": "America/New_York", **more}
    async with world.client(world.member) as client:
        return await client.put(f"/v1/people/{world.member}/contact", json=body)


async def confirm(world: World, token: str, person: str | None = None) -> httpx.Response:
    async with world.client(person or world.member) as client:
        return await client.post(f"/v1/people/{person or world.member}/contact/confirmations", json={"token": token})


async def contact(world: World) -> tuple[str, str | None]:
    async with world.client(world.member) as client:
        held = (await client.get(f"/v1/people/{world.member}/contact")).json()
    return held["email"], held["pending_email"]


def mails(world: World, subject: str) -> list[Any]:
    return [mail for mail in world.inbox.mails if mail["Subject"] == subject]


def token_of(mail: Any) -> str:
    found = re.search(r"/contact/confirm#(\S+)", text(mail))
    assert found is not None
    return found[1]


async def test_a_new_address_counts_once_it_is_confirmed_and_the_old_one_is_told(world: World) -> None:
    await world.everybody(channels={"email": False})  # also for somebody who wants no e-mails
    async with world.sending():
        answer = await change(world, channels={"email": False})
        await world.settled()
        assert (answer.json()["email"], answer.json()["pending_email"]) == (world.ada, NEW)
        assert await contact(world) == (world.ada, NEW)
        (link,), (notice,) = mails(world, CONFIRM), mails(world, NOTICE)
        assert [mail["To"].addresses[0].addr_spec for mail in (link, notice)] == [NEW, world.ada]
        token = token_of(link)
        assert token not in text(notice)
        assert NEW not in text(notice)
        confirmed = await confirm(world, token)
        assert (confirmed.status_code, confirmed.json()["email"], confirmed.json()["pending_email"]) == (200, NEW, None)
        assert (await confirm(world, token)).json()["type"] == "/problems/confirmation-invalid", "single use"
        await change(world, NEW, channels={"email": True})
        await world.confirmed()
        await world.inbox.wait_for(NEW, 2)
        await world.settled()
    to = [mail["To"].addresses[0].addr_spec for mail in world.inbox.mails if mail["Subject"].startswith("Your session")]
    assert to == [NEW]


async def test_until_then_messages_go_to_the_old_address(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await change(world)
        await world.confirmed()
        await world.settled()
    to = [mail["To"].addresses[0].addr_spec for mail in world.inbox.mails if mail["Subject"].startswith("Your session")]
    assert to == [world.ada]


async def test_the_secret_is_kept_nowhere_and_confirms_once_however_many_try(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await change(world)
        await world.settled()
    token = token_of(mails(world, CONFIRM)[0])
    for (table,) in await world.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    ):
        assert token not in str([tuple(row) for row in await world.rows(f'SELECT * FROM "{table}"')]), table
    answers = await asyncio.gather(*(confirm(world, token) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9


async def test_a_link_of_somebody_else_an_old_one_or_a_late_one_confirms_nothing(world: World) -> None:
    await world.everybody()
    await world.register("member-eve", "Eve", "eve@example.org")
    async with world.sending():
        await change(world)
        await world.settled()
        await change(world, "newer@example.org")
        await world.settled()
    first, second = (token_of(mail) for mail in mails(world, CONFIRM))
    async with world.client(world.member) as client:
        held = (await client.get(f"/v1/people/{world.member}/export")).json()
    assert (held["contact_change"]["email"], held["erasure_request"]) == ("newer@example.org", None)
    assert (await confirm(world, first)).status_code == 409
    assert (await confirm(world, second, "member-eve")).status_code == 409
    assert (await confirm(world, "x")).status_code == 409
    world.clock.moment += timedelta(hours=48)
    assert (await confirm(world, second)).status_code == 409
    assert await contact(world) == (world.ada, None)


async def test_a_contact_that_is_sent_back_as_it_was_read_changes_nothing(world: World) -> None:
    await world.everybody()
    await change(world)
    async with world.client(world.member) as client:
        path = f"/v1/people/{world.member}/contact"
        read = (await client.get(path)).json()
        assert (await client.put(path, json=read)).json() == read
        other = await client.put(path, json={**read, "pending_email": "other@example.org"})
    assert other.json()["pending_email"] is None, "nothing is confirmed that no link was sent for"


async def test_going_back_to_the_old_address_takes_the_change_back(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await change(world)
        await world.settled()
        assert (await change(world, world.ada)).json()["pending_email"] is None
    assert (await confirm(world, token_of(mails(world, CONFIRM)[0]))).status_code == 409


async def test_a_contact_that_is_sent_again_sends_no_second_link_and_five_changes_a_day_are_enough(
    world: World,
) -> None:
    await world.everybody()
    async with world.sending():
        for _ in range(3):
            assert (await change(world)).status_code == 200
        await world.settled()
        for number in range(4):
            assert (await change(world, f"other-{number}@example.org")).status_code == 200
            await world.settled()
        refused = await change(world, "victim@example.org")
        await world.settled()
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-soon")
    assert len(mails(world, CONFIRM)) == 5
    assert (await change(world, "other-3@example.org", phone="+49 30 12345")).status_code == 200, "the rest may change"
    world.clock.moment += timedelta(days=1)
    assert (await change(world, "one-more@example.org")).status_code == 200


async def test_a_link_that_waits_in_the_queue_after_another_change_is_not_sent(world: World) -> None:
    await world.everybody()
    await change(world)
    await change(world, world.ada)
    async with world.sending():
        await world.settled()
    assert mails(world, CONFIRM) == []
