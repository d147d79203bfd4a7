"""Every message about a session says where it is: the venue, or the page on which it is joined (NOTE-1)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.domain.links import Links
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.domain.venues import Venue
from makegood_notifications.mail.wording import Wording
from makegood_notifications.whatsapp.registration import templates
from makegood_testkit.waiting import eventually

from .conftest import START, NotificationsHarness
from .test_changes import text
from .test_messages import invitation, parts
from .test_stale_messages import Poll

GARDEN, TOWER = new_id(), new_id()
IN_GARDEN, IN_TOWER = "Garden Practice, 12 Park Lane, Leeds", "Tower Rooms, 3 High Street, Leeds"


def venue(venue_id: str, text: str, version: int = 1) -> facts.VenuePublished:
    name, _, place = text.partition(", ")
    return facts.VenuePublished(
        venue_id=venue_id, venue_version=version, name=name, place=place, time_zone="Europe/London"
    )


async def in_person(harness: NotificationsHarness) -> None:
    """The session is confirmed in the garden."""
    await harness.happen(venue(GARDEN, IN_GARDEN), venue(TOWER, IN_TOWER))
    opened = facts.RoomOpened(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=1, opened_at=START
    )
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    await harness.happen(opened, harness.session(facts.SessionReserved, confirm_by=START, **here))
    await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider", **here))


async def chat(harness: NotificationsHarness) -> str:
    """The latest message of the room."""
    client = harness.client("member", harness.member)
    answer = await client.get(f"/v1/rooms/{harness.room_id}/messages")
    return str(answer.json()["items"][0]["text"])


def names_in_both_parts(mail: EmailMessage, *wanted: str) -> None:
    for kind in ("text/plain", "text/html"):
        shown = " ".join(parts(mail)[kind].get_content().split())
        for one in wanted:
            assert one in shown, (kind, one)


@pytest.mark.rule("NOTE-1", "RESC-4")
async def test_a_session_in_person_names_its_venue_to_both_in_mail_chat_and_calendar(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    async with harness.sending():
        await in_person(harness)
        (mail,), (other,) = await harness.inbox.wait_for(harness.ada, 1), await harness.inbox.wait_for(harness.grace, 1)
    for one in (mail, other):
        names_in_both_parts(one, IN_GARDEN)
        _, event = invitation(one)
        assert str(event["LOCATION"]) == IN_GARDEN
        lines = str(event["DESCRIPTION"]).splitlines()
        assert lines[0].startswith("Tuesday, November 24, 2026, 10:00")
        assert lines[1:] == [
            "30 minutes, in person", f"Where: {IN_GARDEN}", f"https://app.example.org/sessions/{harness.session_id}",
        ]  # fmt: skip
    assert (await chat(harness)).endswith(f"\nWhere: {IN_GARDEN}")
    client = harness.client("member", harness.member)
    file = await client.get(f"/v1/sessions/{harness.session_id}/calendar.ics")
    assert "LOCATION:Garden Practice\\, 12 Park Lane\\, Leeds" in file.text


@pytest.mark.rule("NOTE-1")
async def test_a_session_by_video_names_the_page_on_which_it_is_joined(harness: NotificationsHarness) -> None:
    await harness.everybody()
    page = f"https://app.example.org/sessions/{harness.session_id}"
    async with harness.sending():
        await harness.confirmed()
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert f"Where: {page}" in text(mail)
    _, event = invitation(mail)
    assert str(event["LOCATION"]) == page
    assert str(event["DESCRIPTION"]).splitlines()[1:] == ["30 minutes, video", f"Where: {page}"]
    assert (await chat(harness)).endswith(f"\nWhere: {page}")


@pytest.mark.rule("NOTE-1", "RESC-2")
@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=1)])
async def test_a_move_to_another_venue_names_both_places(harness: NotificationsHarness, later: timedelta) -> None:
    await harness.everybody(phone="+49 30 123456", channels={"email": True, "whatsapp": True})
    moved = {"modality": "in_person", "venue_id": TOWER, "old_venue_id": GARDEN}
    async with harness.sending():
        await in_person(harness)
        await harness.happen(harness.moved("provider", start=START + later, **moved))
        mails = [await harness.inbox.wait_for(address, 2) for address in (harness.ada, harness.grace)]
        await harness.settled()
    before = IN_GARDEN if not later else f"Tuesday, November 24, 2026, 10:00 AM, {IN_GARDEN}"
    for _, mail in mails:
        assert f"Before: {before}" in text(mail)
        assert f"Where: {IN_TOWER}" in text(mail)
        names_in_both_parts(mail, IN_GARDEN, IN_TOWER)
        _, event = invitation(mail)
        assert (str(event["LOCATION"]), event["SEQUENCE"]) == (IN_TOWER, 1)
    line = await chat(harness)
    assert f"Before: {before}. Now: Tuesday" in line.replace("\u00a0", " ")
    assert line.endswith(f"\nWhere: {IN_TOWER}")
    if not later:
        assert line.count("10:00") == 1, "the time did not change, so it is said once"
    short = (await harness.whatsapp.messages())[0]["Parameters"]
    assert (short[0], short[-1]) == (before, IN_TOWER)


@pytest.mark.rule("NOTE-1", "RESC-1")
@pytest.mark.parametrize(
    ("locale", "says"),
    [("en-GB", "a new time, length or place"), ("de", "Zeit, Länge oder Ort deiner Sitzung geändert")],
)
async def test_a_move_of_the_length_alone_names_both_ends(
    harness: NotificationsHarness, locale: str, says: str
) -> None:
    await harness.only_member(locale=locale, phone="+49 30 123456", channels={"email": True, "whatsapp": True})
    longer = {"ends_at": START + timedelta(minutes=45), "length_minutes": 45}
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(harness.moved("provider", start=START, **longer))
        _, mail = await harness.inbox.wait_for(harness.ada, 2)
        await harness.settled()
    before, now = "10:00 – 10:30", "10:00 – 10:45"
    assert says in text(mail)
    assert f"{'Bisher' if locale == 'de' else 'Before'}: {before}" in text(mail)
    assert now in text(mail)
    line = await chat(harness)
    assert f"{before}. " in line
    assert now in line
    parameters = (await harness.whatsapp.messages())[0]["Parameters"]
    assert parameters[0] == before
    assert now in parameters[1]


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("template", ["waitlist-offered", "waitlist-passed-over"])
@pytest.mark.parametrize("locale", ["en", "de"])
def test_a_time_without_a_session_is_nowhere_unless_it_is_in_person(locale: str, template: str) -> None:
    wording = Wording(Links("https://app"))
    details = Details(entry_id="e", open_until=START, obstacles="coverage-ended")
    online = Content(None, "r", "m", "p", START, START + timedelta(minutes=30), 30, "video", "UTC", details=details)
    there = replace(online, modality="in_person", venue_id=GARDEN)
    venues = {GARDEN: Venue(IN_GARDEN, None)}
    where = "Wo: " if locale == "de" else "Where: "
    registered = {(one["name"], one["language"]): one["components"][0]["text"] for one in templates("https://app")}
    for facts_, named in ((online, False), (there, True)):
        mail = wording.email(template, facts_, name="Ada", other="Grace", locale=locale, venues=venues)
        short = wording.short(template, facts_, other="Grace", locale=locale, venues=venues)
        said = [mail.text, short.text]
        if template == "waitlist-offered":
            said.append(wording.chat(template, facts_, locale, venues=venues))
        else:
            said.append(wording.in_app(template, facts_, other="Grace", locale=locale, venues=venues).text)
        for one in said:
            assert (where in one) is named
            assert (IN_GARDEN in one) is named
        assert len(re.findall("{{", registered[short.template, locale])) == len(short.parameters)


@pytest.mark.rule("NOTE-1")
async def test_a_message_that_overtakes_the_news_of_its_venue_waits_for_it(harness: NotificationsHarness) -> None:
    await harness.everybody()
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    async with harness.sending():
        await harness.happen(harness.session(facts.SessionReserved, confirm_by=START, **here))
        await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider", **here))
        await harness.happen(venue(GARDEN, "Old name, Nowhere"), venue(GARDEN, IN_GARDEN, 2))
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    assert f"Where: {IN_GARDEN}" in text(mail)


@pytest.mark.rule("NOTE-1", "NOTE-3")
async def test_after_an_outage_a_message_still_waits_for_the_news_of_its_venues(harness: NotificationsHarness) -> None:
    """The event is older than the patience; the message about it is not."""
    await harness.everybody()
    await harness.reserved()
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    confirmed = harness.session(facts.SessionConfirmed, confirmed_by="provider", **here)
    moved = harness.moved("provider", modality="in_person", venue_id=TOWER, old_venue_id=GARDEN)
    async with harness.sending():
        await Poll(harness).brings(confirmed, moved, ago=timedelta(hours=1))
        await harness.happen(venue(TOWER, IN_TOWER))

        async def put_off() -> list[Any]:
            return await harness.rows(
                "SELECT id FROM deliveries WHERE template = 'session-moved-by-provider' AND channel = 'email'"
                " AND status = 'queued' AND reason IS NULL AND next_attempt_at > clock_timestamp()"
            )

        await eventually(put_off)
        assert harness.inbox.mails == [], "nor while the place before the move is unknown"
        await harness.happen(venue(GARDEN, IN_GARDEN))
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
    names_in_both_parts(mail, IN_TOWER, IN_GARDEN)


@pytest.mark.rule("NOTE-1", "ROOM-4")
async def test_the_chat_names_a_venue_of_which_news_comes_later(harness: NotificationsHarness) -> None:
    await harness.everybody()
    opened = facts.RoomOpened(
        room_id=harness.room_id, member_id=harness.member, provider_id=harness.provider, room_version=1, opened_at=START
    )
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    await harness.happen(opened, harness.session(facts.SessionReserved, confirm_by=START, **here))
    await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider", **here))
    page = f"https://app.example.org/sessions/{harness.session_id}"
    assert (await chat(harness)).endswith(f"\nWhere: {page}")
    await harness.happen(venue(GARDEN, IN_GARDEN))
    assert (await chat(harness)).endswith(f"\nWhere: {IN_GARDEN}")
    client = harness.client("member", harness.member)
    held = (await client.get(f"/v1/people/{harness.member}/export")).json()
    assert [message["text"].endswith(f"\nWhere: {IN_GARDEN}") for message in held["messages"]] == [True]


@pytest.mark.rule("NOTE-1")
async def test_older_news_of_a_venue_changes_nothing(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.happen(venue(GARDEN, IN_GARDEN, 2), venue(GARDEN, "Old name, Nowhere", 1))
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    await harness.happen(harness.session(facts.SessionReserved, confirm_by=START, **here))
    await harness.happen(harness.session(facts.SessionConfirmed, confirmed_by="provider", **here))
    rows = await harness.rows("SELECT text FROM chat_messages")
    assert rows[0][0].endswith(f"\nWhere: {IN_GARDEN}")


ENDINGS: list[tuple[str, Any]] = [
    ("cancelled by the member", lambda harness: harness.cancelled("member")),
    ("cancelled by the provider", lambda harness: harness.cancelled("provider")),
    ("cancelled by the platform", lambda harness: harness.cancelled("system")),
    ("missed", lambda harness: harness.missed()),
    ("no-show", lambda harness: harness.session(facts.MemberNoShow, marked_by="system")),
]


@pytest.mark.rule("NOTE-1", "RESC-4")
@pytest.mark.parametrize(("how", "ending"), ENDINGS, ids=[how for how, _ in ENDINGS])
async def test_the_providers_calendar_follows_as_the_members_does(
    harness: NotificationsHarness, how: str, ending: Any
) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
        await harness.happen(harness.moved("provider"))
        await harness.settled()
        await harness.happen(ending(harness))
        mails = await harness.inbox.wait_for(harness.ada, 3), await harness.inbox.wait_for(harness.grace, 3)
        await harness.settled()
    assert len(harness.inbox.mails) == 6
    for mail, other in zip(*mails, strict=True):
        (calendar, event), (theirs, same) = invitation(mail), invitation(other)
        assert calendar["METHOD"] == theirs["METHOD"]
        assert [event[name] for name in ("UID", "SEQUENCE", "DTSTART", "DTEND", "STATUS")] == [
            same[name] for name in ("UID", "SEQUENCE", "DTSTART", "DTEND", "STATUS")
        ]
        assert harness.grace in same["ATTENDEE"]
        assert str(same["SUMMARY"]) == "Session with Ada Canary"
    assert calendar["METHOD"] == "CANCEL"


@pytest.mark.rule("NOTE-1")
async def test_a_session_that_was_never_confirmed_is_in_nobodys_calendar(harness: NotificationsHarness) -> None:
    await harness.everybody()
    async with harness.sending():
        await harness.reserved()
        await harness.happen(harness.session(facts.SessionDeclined))
        await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    assert [mail["To"].addresses[0].addr_spec for mail in harness.inbox.mails] == [harness.ada]
