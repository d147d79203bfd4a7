"""From event to e-mail and chat, over a real mail server."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar
from makegood_contracts import events as facts
from makegood_notifications.handlers.sessions import follow

from .conftest import World


def parts(mail: EmailMessage) -> dict[str, Any]:
    return {part.get_content_type(): part for part in mail.walk()}


def invitation(mail: EmailMessage) -> Any:
    calendar: Any = Calendar.from_ical(parts(mail)["text/calendar"].get_content())
    return calendar, calendar.events[0]


async def chat(world: World) -> list[str]:
    async with world.client(world.member) as client:
        answer = await client.get(f"/v1/rooms/{world.room_id}/messages")
    return [item["template"] for item in reversed(answer.json()["items"])]


@pytest.mark.rule("CONF-1", "NOTE-1", "RESC-4")
async def test_a_confirmation_brings_mail_chat_and_invitation(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        (mail,) = await world.inbox.wait_for(world.ada, 1)
        await world.settled()
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
        assert f"https://app.example.org/sessions/{world.session_id}" in text
    assert found["text/calendar"].get_param("method") == "REQUEST"
    assert found["application/ics"].get_filename() == "invite.ics"
    calendar, event = invitation(mail)
    assert calendar["METHOD"] == "REQUEST"
    assert (event["SEQUENCE"], event["STATUS"]) == (0, "CONFIRMED")
    assert event["DTSTART"].dt.isoformat() == "2026-11-24T09:00:00+00:00"
    assert "ada.canary@example.org" in event["ATTENDEE"]
    assert await chat(world) == ["session-confirmed"]


@pytest.mark.rule("MISS-3", "ROOM-4")
async def test_a_miss_brings_one_mail_with_a_link_to_rebook_and_a_chat_message(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.happen(world.missed(), world.returned())
        _, mail = await world.inbox.wait_for(world.ada, 2)
        await world.settled()
    assert [m["Subject"] for m in world.inbox.mails].count("Your provider missed your scheduled session.") == 1
    link = f"https://app.example.org/rooms/{world.room_id}/book?length_minutes=30&modality=video"
    assert link in parts(mail)["text/plain"].get_content()
    assert link.replace("&", "&amp;") in parts(mail)["text/html"].get_content()
    assert await chat(world) == ["session-confirmed", "provider-missed", "credit-returned"]


@pytest.mark.rule("RESC-4")
@pytest.mark.parametrize("ending", ["cancelled", "missed", "no-show"])
async def test_the_end_of_a_confirmed_session_cancels_the_same_appointment(world: World, ending: str) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        if ending == "cancelled":
            await world.happen(world.cancelled("member"))
        elif ending == "missed":
            await world.happen(world.missed())
        else:
            await world.happen(world.session(facts.MemberNoShow, marked_by="provider"))
        first, second = await world.inbox.wait_for(world.ada, 2)
    (_, invited), (calendar, event) = invitation(first), invitation(second)
    assert calendar["METHOD"] == "CANCEL"
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (invited["UID"], 1, "CANCELLED")
    assert parts(second)["text/calendar"].get_param("method") == "CANCEL"


@pytest.mark.rule("CANC-2")
async def test_a_cancellation_by_the_provider_is_mailed_at_once(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.reserved()
        await world.happen(world.cancelled("provider", was_confirmed=False))
        (mail,) = await world.inbox.wait(1)
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
    world: World, kind: Any, more: dict[str, Any], subject: str, phrase: str
) -> None:
    from datetime import datetime

    if "cancelled_at" in more:
        more = {**more, "cancelled_at": datetime.fromisoformat(more["cancelled_at"])}
    await world.everybody()
    async with world.sending():
        await world.reserved()
        await world.happen(world.session(kind, **more))
        (mail,) = await world.inbox.wait_for(world.ada, 1)
    assert mail["Subject"] == subject
    assert phrase in parts(mail)["text/plain"].get_content().replace("\n", " ")


@pytest.mark.rule("NOTE-1")
async def test_text_and_html_say_the_same(world: World) -> None:
    import re

    await world.register(world.member, 'Ada <b>"&', "ada@example.org")
    async with world.sending():
        await world.reserved()
        await world.happen(world.missed())
        (mail,) = await world.inbox.wait(1)
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
async def test_a_repeated_event_makes_no_second_message(world: World) -> None:
    await world.everybody()
    await world.reserved()
    received = world.received(world.missed())
    await world.arrive([received])
    await world.arrive([received])
    async with world.sending():
        await world.settled()
    assert len(world.inbox.mails) == 1
    assert await chat(world) == ["provider-missed"]


@pytest.mark.rule("NOTE-3", "RESC-4")
async def test_an_event_that_comes_after_later_news_of_its_session_tells_nothing(world: World) -> None:
    """As one that was put back from the dead letters."""
    await world.only_member()
    await world.reserved()
    late = world.session(facts.SessionConfirmed, confirmed_by="provider")
    await world.happen(world.cancelled("provider"))
    await world.happen(late)
    async with world.sending():
        await world.settled()
    assert [mail["Subject"] for mail in world.inbox.mails] == ["Your provider cancelled your session."]
    assert await chat(world) == ["session-cancelled-by-provider"]
    assert await world.rows("SELECT status FROM sessions") == [("cancelled",)]


@pytest.mark.rule("NOTE-2", "MISS-3", "RESC-4")
async def test_news_that_a_replay_followed_first_is_still_told_once(world: World) -> None:
    await world.only_member()
    await world.confirmed()
    received = world.received(world.missed())
    async with world.sending():
        await world.settled()
        async with world.service.database.transaction(received.cause) as unit:
            await follow([received], unit)
        await world.arrive([received])
        await world.settled()
    _, missed = world.inbox.mails
    assert missed["Subject"] == "Your provider missed your scheduled session."
    assert invitation(missed)[1]["SEQUENCE"] == 1
    assert await chat(world) == ["session-confirmed", "provider-missed"]


@pytest.mark.rule("ROOM-4")
async def test_a_credit_that_returns_before_its_session_is_heard_of_is_told_of_later(world: World) -> None:
    await world.happen(world.returned("cancelled"))
    await world.reserved()
    assert await chat(world) == ["credit-returned"]
    await world.happen(world.returned("rejected"))
    assert await chat(world) == ["credit-returned"]


@pytest.mark.rule("SEC-3")
async def test_names_addresses_and_texts_stay_here(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    await world.only_member()
    async with world.sending():
        await world.confirmed()
        await world.inbox.wait(1)
        world.inbox.answers = ["451 4.2.0 ada.canary@example.org is busy"]
        world.inbox.refused_recipients = {"ada.canary@example.org"}
        await world.happen(world.missed())
        async with world.client(world.member) as client:
            await client.post(f"/v1/rooms/{world.room_id}/messages", json={"text": "Canary text"})
        await world.settled()
    published = await world.rows("SELECT key || headers || encode(payload, 'escape') || topic FROM outbox")
    assert len(published) >= 4
    captured = capfd.readouterr()
    for line in [*(row[0] for row in published), captured.out, captured.err]:
        assert "canary" not in line.lower()
