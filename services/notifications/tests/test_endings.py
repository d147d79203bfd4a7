"""What people are told when somebody is gone (NOTE-5), and when they could not book what they wait for (AVAIL-6)."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Obstacle

from .conftest import START, NotificationsHarness
from .test_changes import text
from .test_messages import chat


def closed(harness: NotificationsHarness, erased: Any, version: int = 2) -> facts.RoomClosed:
    return facts.RoomClosed(
        room_id=harness.room_id,
        member_id=harness.member,
        provider_id=harness.provider,
        room_version=version,
        closed_at=START,
        erased=erased,
    )


def cancelled(harness: NotificationsHarness, party: str) -> Any:
    return harness.session(
        facts.SessionCancelled,
        cancelled_by="system",
        cancelled_at=START,
        forfeits=False,
        was_confirmed=True,
        cause=f"{party}_erased",
    )


def subjects(mails: list[EmailMessage]) -> set[str]:
    return {str(mail["Subject"]) for mail in mails}


@pytest.mark.rule("NOTE-5")
async def test_the_member_is_told_that_the_provider_is_gone_and_sent_to_another_one(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    await harness.confirmed()
    async with harness.sending():
        await harness.settled()
        await harness.happen(closed(harness, "provider"), cancelled(harness, "provider"))
        mails = await harness.inbox.wait_for(harness.ada, 3)
    mails = [mail for mail in mails if "confirmed" not in mail["Subject"]]
    assert subjects(mails) == {
        "Your provider is no longer on Makegood.",
        "Your session is cancelled because your provider is no longer on Makegood.",
    }
    for mail in mails:
        assert "another provider" in text(mail)
        assert "/book?" not in text(mail), "nobody is sent to book with a provider who is gone"
    assert await chat(harness) == ["session-confirmed", "provider-gone", "session-cancelled-provider-gone"]
    assert await harness.rows("SELECT status FROM rooms") == [("closed",)]
    told = "SELECT DISTINCT template FROM deliveries WHERE person_id = $1 ORDER BY template"
    calendars = ["to-provider-scheduled", "to-provider-unscheduled"]
    assert [row[0] for row in await harness.rows(told, harness.provider)] == calendars, (
        "their own calendar, and no more"
    )


@pytest.mark.rule("NOTE-5")
async def test_the_provider_is_told_that_the_member_is_gone(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    async with harness.sending():
        await harness.settled()
        await harness.happen(closed(harness, "member"), cancelled(harness, "member"))
        mails = await harness.inbox.wait_for(harness.grace, 3)
    assert subjects(mails) >= {"A client is no longer on Makegood.", "One of your sessions is cancelled."}
    assert await chat(harness) == ["session-confirmed"]


@pytest.mark.rule("ROOM-1")
async def test_a_room_that_a_party_closed_is_told_nobody(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    await harness.happen(closed(harness, None))
    assert await harness.rows("SELECT template FROM deliveries") == []


def passed_over(
    harness: NotificationsHarness, *codes: Any, tells: bool = True, entry_id: str | None = None
) -> facts.WaitlistCandidatePassedOver:
    return facts.WaitlistCandidatePassedOver(
        entry_id=entry_id or new_id(),
        provider_id=harness.provider,
        member_id=harness.member,
        room_id=harness.room_id,
        length_minutes=30,
        modality="video",
        proposal_id=new_id(),
        starts_at=START,
        ends_at=START + timedelta(minutes=30),
        cause="refused",
        reasons=tuple(Obstacle(code=code, detail="Because.", action="try_again_later") for code in codes),
        tells_member=tells,
    )


@pytest.mark.rule("AVAIL-6")
async def test_who_could_not_book_is_told_why_alone_and_that_they_keep_their_place(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    await harness.reserved()
    await harness.happen(passed_over(harness, "member-busy", tells=False))
    async with harness.sending():
        await harness.happen(passed_over(harness, "coverage-ended", "outstanding-charges"))
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert mail["Subject"] == "A time you are waiting for was available, but you could not have booked it."
    assert "you have no coverage on that day; an invoice is overdue." in text(mail)
    assert "You keep your place" in text(mail)
    assert await chat(harness) == [], "what a member owes is no business of the room"
    channels = await harness.rows("SELECT channel FROM deliveries ORDER BY channel")
    assert [row[0] for row in channels] == ["email", "in_app"]
