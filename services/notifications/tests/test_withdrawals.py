"""A CANCEL goes to every address that was invited, and nothing else goes to one that was given up (RESC-4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts import events as facts

from .conftest import START, World
from .test_changes import text
from .test_contact_changes import CONFIRM, change, confirm, mails, token_of
from .test_messages import invitation, parts

NEW, NEWER = "new@example.org", "newer@example.org"


async def moves_to(world: World, address: str) -> None:
    """The member's address changes, and is confirmed."""
    await change(world, address)
    await world.inbox.wait_for(address, 1)
    assert (await confirm(world, token_of(mails(world, CONFIRM)[-1]))).status_code == 200


@pytest.mark.rule("RESC-4", "NOTE-1")
async def test_a_cancel_follows_the_invitation_to_the_address_before(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.inbox.wait_for(world.ada, 1)
        await moves_to(world, NEW)
        await world.happen(world.moved("provider"))
        await world.inbox.wait_for(NEW, 2)
        await moves_to(world, NEWER)
        known = {id(mail) for mail in world.inbox.mails}
        await world.happen(world.session(facts.MemberNoShow, marked_by="system", starts_at=START + timedelta(hours=1)))
        for address, count in ((world.ada, 3), (NEW, 4), (NEWER, 2)):
            await world.inbox.wait_for(address, count)
        await world.settled()
    fresh = [mail for mail in world.inbox.mails if id(mail) not in known]
    to = {mail["To"].addresses[0].addr_spec: mail for mail in fresh}
    assert sorted(to) == sorted([world.ada, world.grace, NEW, NEWER])
    assert len(fresh) == 4
    for address in (world.ada, NEW):
        mail = to[address]
        calendar, event = invitation(mail)
        assert (calendar["METHOD"], event["SEQUENCE"]) == ("CANCEL", 2)
        assert event["UID"] == invitation(to[NEWER])[1]["UID"]
        assert event["ATTENDEE"] == f"mailto:{address}"
        assert mail["Subject"] == "An invitation is taken back."
        whole = text(mail) + parts(mail)["text/html"].get_content() + event.to_ical().decode()
        for private in ("Ada", "Grace", "10:00", "session with", "missed", NEWER):
            assert private not in whole, "its reader may be somebody else by now"
    assert len({mail["Message-ID"] for mail in fresh}) == 4


@pytest.mark.rule("RESC-4")
async def test_who_kept_the_address_gets_one_cancel(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.happen(world.cancelled("provider"))
        await world.inbox.wait_for(world.ada, 2)
        await world.settled()
    assert len(world.inbox.mails) == 4  # two each


@pytest.mark.rule("RESC-4", "SEC-3")
async def test_an_erasure_forgets_where_somebody_was_invited(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.settled()
        rows = await world.rows("SELECT invited FROM deliveries WHERE channel = 'email' ORDER BY invited")
        assert [row[0] for row in rows] == [world.ada, world.grace]
        async with world.client(world.member) as client:
            answer = await client.delete(f"/v1/people/{world.member}", params={"reason": "person_asked"})
        assert answer.status_code == 202
        await world.settled()
        world.clock.moment += timedelta(days=8)
        assert "erasure" in await world.due()
    assert await world.rows("SELECT DISTINCT invited FROM deliveries WHERE invited IS NOT NULL") == [(world.grace,)]
