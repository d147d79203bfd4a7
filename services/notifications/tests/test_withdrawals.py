"""A CANCEL goes to every address that was invited, and nothing else goes to one that was given up (RESC-4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts import events as facts

from .conftest import START, World
from .test_changes import text
from .test_contact_changes import CONFIRM, change, confirm, mails, token_of
from .test_messages import invitation, parts
from .test_stale_messages import Poll

NEW, NEWER = "new@example.org", "newer@example.org"


async def moves_to(world: World, address: str) -> None:
    """The member's address changes, and is confirmed."""
    await change(world, address)
    await world.inbox.wait_for(address, 1)
    assert (await confirm(world, token_of(mails(world, CONFIRM)[-1]))).status_code == 200


async def invited_at_two_addresses(world: World) -> None:
    """The member has the invitation at the address before, and its update at the one of now."""
    await world.confirmed()
    await world.inbox.wait_for(world.ada, 1)
    await moves_to(world, NEW)
    await world.happen(world.moved("provider"))
    await world.inbox.wait_for(NEW, 2)


@pytest.mark.rule("RESC-4", "NOTE-1")
async def test_a_cancel_follows_the_invitation_to_the_address_before(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await invited_at_two_addresses(world)
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
        assert mail["Subject"] == "An invitation was withdrawn."
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


def withdrawn(world: World, address: str) -> list[tuple[str, int]]:
    """The bare calendar messages to an address: METHOD and SEQUENCE."""
    bare = [mail for mail in world.inbox.mails if mail["Subject"] == "An invitation was withdrawn."]
    found = [invitation(mail) for mail in bare if mail["To"].addresses[0].addr_spec == address]
    return [(str(calendar["METHOD"]), int(event["SEQUENCE"])) for calendar, event in found]


async def wants_no_mails(world: World) -> None:
    await world.rows("UPDATE people SET by_email = false WHERE id = $1", world.member)


@pytest.mark.rule("RESC-4", "NOTE-1")
async def test_who_wants_no_mails_any_more_loses_the_appointment_at_each_address_that_has_it(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await invited_at_two_addresses(world)
        await wants_no_mails(world)
        await world.happen(world.session(facts.MemberNoShow, marked_by="system", starts_at=START + timedelta(hours=1)))
        await world.settled()
    assert withdrawn(world, world.ada) == [("CANCEL", 2)]
    assert withdrawn(world, NEW) == [("CANCEL", 2)]
    left_out = (
        "SELECT reason FROM deliveries WHERE template = 'member-no-show' AND status = 'skipped' AND channel = 'email'"
    )
    assert await world.rows(left_out) == [("not-wanted",)]


@pytest.mark.rule("RESC-4")
async def test_a_cancel_that_is_one_mail_too_many_still_takes_the_appointment_back(world: World) -> None:
    await world.everybody()
    world.clock.moment = START  # all of it in the hour for which the mails are counted
    async with world.sending():
        await world.confirmed()
        await world.settled()
        for number in range(30):
            await world.happen(world.moved("provider", start=START + timedelta(hours=2 + number % 2)))
        await world.settled()
        await world.happen(world.cancelled("provider"))
        await world.settled()
    assert withdrawn(world, world.ada) == [("CANCEL", 31)]
    left_out = "SELECT status FROM deliveries WHERE template = 'session-cancelled-by-provider' AND channel = 'email'"
    assert await world.rows(left_out) == [("skipped",)]


@pytest.mark.rule("RESC-4", "NOTE-3")
async def test_a_cancel_whose_message_is_no_longer_true_still_takes_the_appointment_back(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.settled()
        world.clock.moment = START + timedelta(hours=3)
        corrected = {"old_outcome": "provider_missed", "outcome": "member_no_show", "corrected_by": "support-1"}
        await Poll(world).brings(
            world.missed(), world.session(facts.OutcomeCorrected, **corrected, corrected_at=world.clock.moment)
        )
        await world.settled()
    assert withdrawn(world, world.ada) == [("CANCEL", 1)]


@pytest.mark.rule("RESC-4")
async def test_who_was_never_invited_has_nothing_taken_back(world: World) -> None:
    await world.everybody()
    await wants_no_mails(world)
    async with world.sending():
        await world.confirmed()
        await world.happen(world.cancelled("provider"))
        await world.settled()
    assert withdrawn(world, world.ada) == []


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
