"""From event to e-mail and chat, over a real mail server."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar
from makegood_contracts import events as facts
from makegood_notifications.handlers.routing import READ_MODELS
from makegood_testkit.service import received

from .conftest import NotificationsHarness


def parts(mail: EmailMessage) -> dict[str, Any]:
    return {part.get_content_type(): part for part in mail.walk()}


def invitation(mail: EmailMessage) -> Any:
    calendar: Any = Calendar.from_ical(parts(mail)["text/calendar"].get_content())
    return calendar, calendar.events[0]


async def chat(harness: NotificationsHarness) -> list[str]:
    client = harness.client("member", harness.member)
    answer = await client.get(f"/v1/rooms/{harness.room_id}/messages")
    return [item["template"] for item in reversed(answer.json()["items"])]


@pytest.mark.rule("CONF-1", "NOTE-1", "RESC-4")
async def test_a_confirmation_brings_mail_chat_and_invitation(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    assert mail["Subject"] == "Your session is confirmed! Mark your calendar."
    assert mail["To"].addresses[0].addr_spec == "ada.canary@example.org"
    assert not mail.defects
    found = parts(mail)
    for kind in ("text/plain", "text/html"):
        text = found[kind].get_content()
        assert "Tuesday, November 24, 2026" in text
        assert "10:00" in text  # Berlin, where it was booked, not New York, where its reader lives (BOOK-2)
        assert "Europe/Berlin" in text
        assert "Dr. Grace Canary" in text
        assert f"https://app.example.org/sessions/{harness.session_id}" in text
    assert found["text/calendar"].get_param("method") == "REQUEST"
    assert found["application/ics"].get_filename() == "invite.ics"
    calendar, event = invitation(mail)
    assert calendar["METHOD"] == "REQUEST"
    assert (event["SEQUENCE"], event["STATUS"]) == (0, "CONFIRMED")
    assert event["DTSTART"].dt.isoformat() == "2026-11-24T09:00:00+00:00"
    assert "ada.canary@example.org" in event["ATTENDEE"]
    assert await chat(harness) == ["session-confirmed"]


@pytest.mark.rule("MISS-3", "ROOM-4")
async def test_a_miss_brings_one_mail_with_a_link_to_rebook_and_a_chat_message(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.missed(), harness.returned())
        _, mail = await harness.inbox.wait_for(harness.ada, 2)
        await harness.settled()
    assert [m["Subject"] for m in harness.inbox.mails].count("Your provider missed your scheduled session.") == 1
    link = f"https://app.example.org/rooms/{harness.room_id}/book?length_minutes=30&modality=video"
    assert link in parts(mail)["text/plain"].get_content()
    assert link.replace("&", "&amp;") in parts(mail)["text/html"].get_content()
    assert await chat(harness) == ["session-confirmed", "provider-missed", "credit-returned"]


@pytest.mark.rule("RESC-4")
@pytest.mark.parametrize("ending", ["cancelled", "missed", "no-show"])
async def test_the_end_of_a_confirmed_session_cancels_the_same_appointment(
    harness: NotificationsHarness, ending: str
) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        if ending == "cancelled":
            await harness.happen(harness.cancelled("member"))
        elif ending == "missed":
            await harness.happen(harness.missed())
        else:
            await harness.happen(harness.session(facts.MemberNoShow, marked_by="provider"))
        first, second = await harness.inbox.wait_for(harness.ada, 2)
    (_, invited), (calendar, event) = invitation(first), invitation(second)
    assert calendar["METHOD"] == "CANCEL"
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (invited["UID"], 1, "CANCELLED")
    assert parts(second)["text/calendar"].get_param("method") == "CANCEL"


@pytest.mark.rule("CANC-2")
async def test_a_cancellation_by_the_provider_is_mailed_at_once(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.reserved()
        await harness.happen(harness.cancelled("provider", was_confirmed=False))
        (mail,) = await harness.inbox.wait(1)
    assert mail["Subject"] == "Your provider cancelled your session."
    assert "text/calendar" not in parts(mail)  # there was no invitation to take back


@pytest.mark.rule("CONF-2", "CONF-1", "NOSH-1", "CANC-1")
@pytest.mark.parametrize(
    ("kind", "more", "subject", "phrase"),
    [
        (facts.SessionExpired, {}, "Your session was not confirmed in time.", "You won’t be charged"),
        (facts.SessionDeclined, {}, "Your session could not be confirmed.", "You won’t be charged"),
        (facts.MemberNoShow, {"marked_by": "system"}, "You missed your session.", "is used up"),
        (
            facts.SessionCancelled,
            {"cancelled_by": "member", "cancelled_at": "2026-11-23T09:00:00Z", "forfeits": True, "was_confirmed": True},
            "Your session is cancelled.",
            "too late",
        ),
        (
            facts.SessionCancelled,
            {
                "cancelled_by": "member",
                "cancelled_at": "2026-11-20T09:00:00Z",
                "forfeits": False,
                "was_confirmed": True,
            },
            "Your session is cancelled.",
            "You won’t be charged",
        ),
    ],
)
async def test_the_member_is_told_of_each_ending(
    harness: NotificationsHarness, kind: Any, more: dict[str, Any], subject: str, phrase: str
) -> None:
    from datetime import datetime

    if "cancelled_at" in more:
        more = {**more, "cancelled_at": datetime.fromisoformat(more["cancelled_at"])}
    await harness.everybody()
    async with harness.sending():
        await harness.reserved()
        await harness.happen(harness.session(kind, **more))
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert mail["Subject"] == subject
    assert phrase in parts(mail)["text/plain"].get_content().replace("\n", " ")


@pytest.mark.rule("NOTE-1")
async def test_text_and_html_say_the_same(harness: NotificationsHarness) -> None:
    import re

    await harness.register(harness.member, 'Ada <b>"&', "ada@example.org")
    async with harness.sending():
        await harness.reserved()
        await harness.happen(harness.missed())
        (mail,) = await harness.inbox.wait(1)
    found = parts(mail)
    text, html = found["text/plain"].get_content(), found["text/html"].get_content()
    assert 'Hello Ada <b>"&,' in text
    assert "Hello Ada &lt;b&gt;&#34;&amp;," in html
    import html as markup

    shown = markup.unescape(re.sub(r"<[^>]+>", " ", html.partition("<body")[2]))
    for line in text.splitlines():
        value = line.partition(": ")[2] or line
        if line.strip() and not line.startswith(("--", "http")):
            assert " ".join(value.rstrip(":").split()) in " ".join(shown.split())


@pytest.mark.rule("NOTE-2")
async def test_a_repeated_event_makes_no_second_message(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.reserved()
    missed = received(harness.missed())
    await harness.handle(missed)
    await harness.handle(missed)
    async with harness.sending():
        await harness.settled()
    assert len(harness.inbox.mails) == 1
    assert await chat(harness) == ["provider-missed"]


@pytest.mark.rule("NOTE-3", "RESC-4")
async def test_an_event_that_comes_after_later_news_of_its_session_tells_nothing(harness: NotificationsHarness) -> None:
    """As one that was put back from the dead letters."""
    await harness.only_member()
    await harness.reserved()
    late = harness.session(facts.SessionConfirmed, confirmed_by="provider")
    await harness.happen(harness.cancelled("provider"))
    await harness.happen(late)
    async with harness.sending():
        await harness.settled()
    assert [mail["Subject"] for mail in harness.inbox.mails] == ["Your provider cancelled your session."]
    assert await chat(harness) == ["session-cancelled-by-provider"]
    assert await harness.rows("SELECT status FROM sessions") == [("cancelled",)]


@pytest.mark.rule("NOTE-2", "MISS-3", "RESC-4")
async def test_news_that_a_replay_followed_first_is_still_told_once(harness: NotificationsHarness) -> None:
    await harness.only_member()
    await harness.confirmed()
    missed = received(harness.missed())
    async with harness.sending():
        await harness.settled()
        async with harness.database.transaction(missed.cause) as unit:
            await READ_MODELS[type(missed.event)]([missed], unit)  # type: ignore[call-arg]
        await harness.handle(missed)
        await harness.settled()
    _, mail = harness.inbox.mails
    assert mail["Subject"] == "Your provider missed your scheduled session."
    assert invitation(mail)[1]["SEQUENCE"] == 1
    assert await chat(harness) == ["session-confirmed", "provider-missed"]


@pytest.mark.rule("ROOM-4")
async def test_a_credit_that_returns_before_its_session_is_heard_of_is_told_of_later(
    harness: NotificationsHarness,
) -> None:
    await harness.happen(harness.returned("cancelled"))
    await harness.reserved()
    assert await chat(harness) == ["credit-returned"]
    await harness.happen(harness.returned("rejected"))
    assert await chat(harness) == ["credit-returned"]


@pytest.mark.rule("SEC-3")
async def test_names_addresses_and_texts_stay_here(
    harness: NotificationsHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    await harness.only_member()
    async with harness.sending():
        await harness.confirmed()
        await harness.inbox.wait(1)
        harness.inbox.answers = ["451 4.2.0 ada.canary@example.org is busy"]
        harness.inbox.refused_recipients = {"ada.canary@example.org"}
        await harness.happen(harness.missed())
        client = harness.client("member", harness.member)
        await client.post(f"/v1/rooms/{harness.room_id}/messages", json={"text": "Canary text"})
        await harness.settled()
    published = await harness.rows("SELECT key || headers || encode(payload, 'escape') || topic FROM outbox")
    assert len(published) >= 4
    captured = capfd.readouterr()
    for line in [*(row[0] for row in published), captured.out, captured.err]:
        assert "canary" not in line.lower()
