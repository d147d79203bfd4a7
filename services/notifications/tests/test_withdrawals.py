"""A CANCEL goes to every address that was invited, and nothing else goes to one that was given up (RESC-4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts import events as facts

from .conftest import START, NotificationsHarness
from .test_changes import text
from .test_contact_changes import CONFIRM, change, confirm, mails, token_of
from .test_messages import invitation, parts
from .test_stale_messages import Poll

NEW, NEWER = "new@example.org", "newer@example.org"


async def moves_to(harness: NotificationsHarness, address: str) -> None:
    """The member's address changes, and is confirmed."""
    await change(harness, address)
    await harness.inbox.wait_for(address, 1)
    assert (await confirm(harness, token_of(mails(harness, CONFIRM)[-1]))).status_code == 200


async def invited_at_two_addresses(harness: NotificationsHarness) -> None:
    """The member has the invitation at the address before, and its update at the one of now."""
    await harness.confirmed()
    await harness.inbox.wait_for(harness.ada, 1)
    await moves_to(harness, NEW)
    await harness.happen(harness.moved("provider"))
    await harness.inbox.wait_for(NEW, 2)


@pytest.mark.rule("RESC-4", "NOTE-1")
async def test_a_cancel_follows_the_invitation_to_the_address_before(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await invited_at_two_addresses(harness)
        await moves_to(harness, NEWER)
        known = {id(mail) for mail in harness.inbox.mails}
        await harness.happen(
            harness.session(facts.MemberNoShow, marked_by="system", starts_at=START + timedelta(hours=1))
        )
        for address, count in ((harness.ada, 3), (NEW, 4), (NEWER, 2)):
            await harness.inbox.wait_for(address, count)
        await harness.settled()
    fresh = [mail for mail in harness.inbox.mails if id(mail) not in known]
    to = {mail["To"].addresses[0].addr_spec: mail for mail in fresh}
    assert sorted(to) == sorted([harness.ada, harness.grace, NEW, NEWER])
    assert len(fresh) == 4
    for address in (harness.ada, NEW):
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
async def test_who_kept_the_address_gets_one_cancel(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.cancelled("provider"))
        await harness.inbox.wait_for(harness.ada, 2)
        await harness.settled()
    assert len(harness.inbox.mails) == 4  # two each


def withdrawn(harness: NotificationsHarness, address: str) -> list[tuple[str, int]]:
    """The bare calendar messages to an address: METHOD and SEQUENCE."""
    bare = [mail for mail in harness.inbox.mails if mail["Subject"] == "An invitation was withdrawn."]
    found = [invitation(mail) for mail in bare if mail["To"].addresses[0].addr_spec == address]
    return [(str(calendar["METHOD"]), int(event["SEQUENCE"])) for calendar, event in found]


async def wants_no_mails(harness: NotificationsHarness) -> None:
    await harness.rows("UPDATE people SET by_email = false WHERE id = $1", harness.member)


@pytest.mark.rule("RESC-4", "NOTE-1")
async def test_who_wants_no_mails_any_more_loses_the_appointment_at_each_address_that_has_it(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    async with harness.sending():
        await invited_at_two_addresses(harness)
        await wants_no_mails(harness)
        await harness.happen(
            harness.session(facts.MemberNoShow, marked_by="system", starts_at=START + timedelta(hours=1))
        )
        await harness.settled()
    assert withdrawn(harness, harness.ada) == [("CANCEL", 2)]
    assert withdrawn(harness, NEW) == [("CANCEL", 2)]
    left_out = (
        "SELECT reason FROM deliveries WHERE template = 'member-no-show' AND status = 'skipped' AND channel = 'email'"
    )
    assert await harness.rows(left_out) == [("not-wanted",)]


@pytest.mark.rule("RESC-4")
async def test_a_cancel_that_is_one_mail_too_many_still_takes_the_appointment_back(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    harness.clock.moment = START  # all of it in the hour for which the mails are counted
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        for number in range(30):
            await harness.happen(harness.moved("provider", start=START + timedelta(hours=2 + number % 2)))
        await harness.settled()
        await harness.happen(harness.cancelled("provider"))
        await harness.settled()
    assert withdrawn(harness, harness.ada) == [("CANCEL", 31)]
    left_out = "SELECT status FROM deliveries WHERE template = 'session-cancelled-by-provider' AND channel = 'email'"
    assert await harness.rows(left_out) == [("skipped",)]


@pytest.mark.rule("RESC-4", "NOTE-3")
async def test_a_cancel_whose_message_is_no_longer_true_still_takes_the_appointment_back(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        harness.clock.moment = START + timedelta(hours=3)
        corrected = {"old_outcome": "provider_missed", "outcome": "member_no_show", "corrected_by": "support-1"}
        await Poll(harness).brings(
            harness.missed(), harness.session(facts.OutcomeCorrected, **corrected, corrected_at=harness.clock.moment)
        )
        await harness.settled()
    assert withdrawn(harness, harness.ada) == [("CANCEL", 1)]


@pytest.mark.rule("RESC-4")
async def test_who_was_never_invited_has_nothing_taken_back(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await wants_no_mails(harness)
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.cancelled("provider"))
        await harness.settled()
    assert withdrawn(harness, harness.ada) == []


@pytest.mark.rule("RESC-4", "SEC-3")
async def test_an_erasure_forgets_where_somebody_was_invited(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        rows = await harness.rows("SELECT invited FROM deliveries WHERE channel = 'email' ORDER BY invited")
        assert [row[0] for row in rows] == [harness.ada, harness.grace]
        client = harness.client("member", harness.member)
        answer = await client.delete(f"/v1/people/{harness.member}", params={"reason": "person_asked"})
        assert answer.status_code == 202
        await harness.settled()
        harness.clock.moment += timedelta(days=8)
        assert "erasure" in await harness.handle_due()
    assert await harness.rows("SELECT DISTINCT invited FROM deliveries WHERE invited IS NOT NULL") == [(harness.grace,)]
