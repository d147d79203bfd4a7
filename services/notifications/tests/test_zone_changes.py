"""A session that is shown in another time zone (RESC-5): the invitation follows, and nothing else changes."""

from __future__ import annotations

import pytest
from makegood_contracts import events as facts
from makegood_contracts.publishing.examples import example_of
from makegood_notifications.domain.announcements import announcements
from makegood_notifications.domain.invitations import CHANGES, ENDINGS

from .conftest import NotificationsHarness
from .test_changes import text, told
from .test_messages import chat, invitation

KOLKATA = {"time_zone": "Asia/Kolkata", "old_time_zone": "Europe/Berlin"}


@pytest.mark.rule("RESC-5", "RESC-4")
async def test_another_time_zone_updates_the_invitation(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.session(facts.SessionZoneChanged, changed_by="member", confirmed=True, **KOLKATA))
        first, second = await harness.inbox.wait_for(harness.ada, 2)
    assert second["Subject"] == "Your session is shown in another time zone."
    before, after = invitation(first)[1], invitation(second)[1]
    assert (before["UID"], before["SEQUENCE"], after["UID"], after["SEQUENCE"]) == (before["UID"], 0, before["UID"], 1)
    assert (after["DTSTART"].dt, str(after["STATUS"])) == (before["DTSTART"].dt, "CONFIRMED")
    assert "Time zone: " in text(second)
    assert await chat(harness) == ["session-confirmed", "session-zone-changed"]
    assert await harness.rows("SELECT status, time_zone FROM sessions") == [("confirmed", "Asia/Kolkata")]


@pytest.mark.rule("RESC-5", "RESC-2", "RESC-4")
async def test_the_invitation_follows_a_providers_quiet_change_too(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        quiet = harness.session(
            facts.SessionZoneChanged, changed_by="provider", confirmed=True, notify_member=False, **KOLKATA
        )
        await harness.happen(quiet)
        await harness.inbox.wait_for(harness.ada, 2)
        await harness.happen(harness.cancelled("provider", was_confirmed=True))
        mails = await harness.inbox.wait_for(harness.ada, 3)
    assert [invitation(mail)[1]["SEQUENCE"] for mail in mails] == [0, 1, 2]


@pytest.mark.rule("RESC-5")
async def test_a_session_that_was_never_confirmed_has_no_invitation_to_update(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    await harness.happen(harness.session(facts.SessionZoneChanged, changed_by="member", confirmed=False, **KOLKATA))
    assert ("email", "session-zone-changed") in await told(harness, harness.member)
    assert await harness.rows("SELECT invitation_sequence FROM sessions") == [(None,)]


@pytest.mark.rule("RESC-4")
@pytest.mark.parametrize("kind", [facts.SessionConfirmed, *CHANGES, *ENDINGS], ids=lambda kind: kind.__name__)
def test_whatever_changes_an_invitation_is_told_to_both(kind: type[facts.Event]) -> None:
    news = announcements(example_of(kind), invited=True)  # type: ignore[arg-type]
    assert {one.to for one in news if one.mail} == {"member", "provider"}
