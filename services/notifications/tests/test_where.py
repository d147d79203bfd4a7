"""Every message about a session says where it is: the venue, or the page on which it is joined (NOTE-1)."""

from __future__ import annotations

import re
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.domain.links import Links
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.domain.venues import Venue
from makegood_notifications.mail.wording import Wording
from makegood_notifications.whatsapp.registration import templates

from .conftest import START, World, eventually
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


async def in_person(world: World) -> None:
    """The session is confirmed in the garden."""
    await world.happen(venue(GARDEN, IN_GARDEN), venue(TOWER, IN_TOWER))
    opened = facts.RoomOpened(
        room_id=world.room_id, member_id=world.member, provider_id=world.provider, room_version=1, opened_at=START
    )
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    await world.happen(opened, world.session(facts.SessionReserved, confirm_by=START, **here))
    await world.happen(world.session(facts.SessionConfirmed, confirmed_by="provider", **here))


async def chat(world: World) -> str:
    """The latest message of the room."""
    async with world.client(world.member) as client:
        answer = await client.get(f"/v1/rooms/{world.room_id}/messages")
    return str(answer.json()["items"][0]["text"])


def names_in_both_parts(mail: EmailMessage, *wanted: str) -> None:
    for kind in ("text/plain", "text/html"):
        shown = " ".join(parts(mail)[kind].get_content().split())
        for one in wanted:
            assert one in shown, (kind, one)


@pytest.mark.rule("NOTE-1", "RESC-4")
async def test_a_session_in_person_names_its_venue_to_both_in_mail_chat_and_calendar(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await in_person(world)
        (mail,), (other,) = await world.inbox.wait_for(world.ada, 1), await world.inbox.wait_for(world.grace, 1)
    for one in (mail, other):
        names_in_both_parts(one, IN_GARDEN)
        _, event = invitation(one)
        assert str(event["LOCATION"]) == IN_GARDEN
        lines = str(event["DESCRIPTION"]).splitlines()
        assert lines[0].startswith("Tuesday, November 24, 2026, 10:00")
        assert lines[1:] == [
            "30 minutes, in person", f"Where: {IN_GARDEN}", f"https://app.example.org/sessions/{world.session_id}",
        ]  # fmt: skip
    assert (await chat(world)).endswith(f"\nWhere: {IN_GARDEN}")
    async with world.client(world.member) as client:
        file = await client.get(f"/v1/sessions/{world.session_id}/calendar.ics")
    assert "LOCATION:Garden Practice\\, 12 Park Lane\\, Leeds" in file.text


@pytest.mark.rule("NOTE-1")
async def test_a_session_by_video_names_the_page_on_which_it_is_joined(world: World) -> None:
    await world.everybody()
    page = f"https://app.example.org/sessions/{world.session_id}"
    async with world.sending():
        await world.confirmed()
        (mail,) = await world.inbox.wait_for(world.ada, 1)
    assert f"Where: {page}" in text(mail)
    _, event = invitation(mail)
    assert str(event["LOCATION"]) == page
    assert str(event["DESCRIPTION"]).splitlines()[1:] == ["30 minutes, video", f"Where: {page}"]
    assert (await chat(world)).endswith(f"\nWhere: {page}")


@pytest.mark.rule("NOTE-1", "RESC-2")
@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=1)])
async def test_a_move_to_another_venue_names_both_places(world: World, later: timedelta) -> None:
    await world.everybody(phone="+49 30 123456", channels={"email": True, "whatsapp": True})
    moved = {"modality": "in_person", "venue_id": TOWER, "old_venue_id": GARDEN}
    async with world.sending():
        await in_person(world)
        await world.happen(world.moved("provider", start=START + later, **moved))
        mails = [await world.inbox.wait_for(address, 2) for address in (world.ada, world.grace)]
        await world.settled()
    before = IN_GARDEN if not later else f"Tuesday, November 24, 2026, 10:00 AM, {IN_GARDEN}"
    for _, mail in mails:
        assert f"Before: {before}" in text(mail)
        assert f"Where: {IN_TOWER}" in text(mail)
        names_in_both_parts(mail, IN_GARDEN, IN_TOWER)
        _, event = invitation(mail)
        assert (str(event["LOCATION"]), event["SEQUENCE"]) == (IN_TOWER, 1)
    line = await chat(world)
    assert f"Before: {before}. Now: Tuesday" in line.replace("\u00a0", " ")
    assert line.endswith(f"\nWhere: {IN_TOWER}")
    if not later:
        assert line.count("10:00") == 1, "the time did not change, so it is said once"
    short = (await world.whatsapp.messages())[0]["Parameters"]
    assert (short[0], short[-1]) == (before, IN_TOWER)


@pytest.mark.rule("NOTE-1", "RESC-1")
@pytest.mark.parametrize(
    ("locale", "says"),
    [("en-GB", "a new time, length or place"), ("de", "Zeit, Länge oder Ort deiner Sitzung geändert")],
)
async def test_a_move_of_the_length_alone_names_both_ends(world: World, locale: str, says: str) -> None:
    await world.only_member(locale=locale, phone="+49 30 123456", channels={"email": True, "whatsapp": True})
    longer = {"ends_at": START + timedelta(minutes=45), "length_minutes": 45}
    async with world.sending():
        await world.confirmed()
        await world.happen(world.moved("provider", start=START, **longer))
        _, mail = await world.inbox.wait_for(world.ada, 2)
        await world.settled()
    before, now = "10:00 – 10:30", "10:00 – 10:45"
    assert says in text(mail)
    assert f"{'Bisher' if locale == 'de' else 'Before'}: {before}" in text(mail)
    assert now in text(mail)
    line = await chat(world)
    assert f"{before}. " in line
    assert now in line
    parameters = (await world.whatsapp.messages())[0]["Parameters"]
    assert parameters[0] == before
    assert now in parameters[1]


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("template", ["waitlist-offered", "waitlist-passed-over"])
@pytest.mark.parametrize("locale", ["en", "de"])
def test_a_time_without_a_session_is_nowhere_unless_it_is_in_person(locale: str, template: str) -> None:
    wording = Wording(Links("https://app"))
    details = Details(entry_id="e", open_until=START, obstacles="coverage-ended")
    online = Content(None, "r", "m", "p", START, START + timedelta(minutes=30), 30, "video", "UTC", details=details)
    there = msgspec.structs.replace(online, modality="in_person", venue_id=GARDEN)
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
async def test_a_message_that_overtakes_the_news_of_its_venue_waits_for_it(world: World) -> None:
    await world.everybody()
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    async with world.sending():
        await world.happen(world.session(facts.SessionReserved, confirm_by=START, **here))
        await world.happen(world.session(facts.SessionConfirmed, confirmed_by="provider", **here))
        await world.happen(venue(GARDEN, "Old name, Nowhere"), venue(GARDEN, IN_GARDEN, 2))
        (mail,) = await world.inbox.wait_for(world.ada, 1)
    assert f"Where: {IN_GARDEN}" in text(mail)


@pytest.mark.rule("NOTE-1", "NOTE-3")
async def test_after_an_outage_a_message_still_waits_for_the_news_of_its_venues(world: World) -> None:
    """The event is older than the patience; the message about it is not."""
    await world.everybody()
    await world.reserved()
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    confirmed = world.session(facts.SessionConfirmed, confirmed_by="provider", **here)
    moved = world.moved("provider", modality="in_person", venue_id=TOWER, old_venue_id=GARDEN)
    async with world.sending():
        await Poll(world).brings(confirmed, moved, ago=timedelta(hours=1))
        await world.happen(venue(TOWER, IN_TOWER))

        async def put_off() -> list[Any]:
            return await world.rows(
                "SELECT id FROM deliveries WHERE template = 'session-moved-by-provider' AND channel = 'email'"
                " AND status = 'queued' AND reason IS NULL AND next_attempt_at > clock_timestamp()"
            )

        await eventually(put_off)
        assert world.inbox.mails == [], "nor while the place before the move is unknown"
        await world.happen(venue(GARDEN, IN_GARDEN))
        (mail,) = await world.inbox.wait_for(world.ada, 1)
    names_in_both_parts(mail, IN_TOWER, IN_GARDEN)


@pytest.mark.rule("NOTE-1", "ROOM-4")
async def test_the_chat_names_a_venue_of_which_news_comes_later(world: World) -> None:
    await world.everybody()
    opened = facts.RoomOpened(
        room_id=world.room_id, member_id=world.member, provider_id=world.provider, room_version=1, opened_at=START
    )
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    await world.happen(opened, world.session(facts.SessionReserved, confirm_by=START, **here))
    await world.happen(world.session(facts.SessionConfirmed, confirmed_by="provider", **here))
    page = f"https://app.example.org/sessions/{world.session_id}"
    assert (await chat(world)).endswith(f"\nWhere: {page}")
    await world.happen(venue(GARDEN, IN_GARDEN))
    assert (await chat(world)).endswith(f"\nWhere: {IN_GARDEN}")
    async with world.client(world.member) as client:
        held = (await client.get(f"/v1/people/{world.member}/export")).json()
    assert [message["text"].endswith(f"\nWhere: {IN_GARDEN}") for message in held["messages"]] == [True]


@pytest.mark.rule("NOTE-1")
async def test_older_news_of_a_venue_changes_nothing(world: World) -> None:
    await world.everybody()
    await world.happen(venue(GARDEN, IN_GARDEN, 2), venue(GARDEN, "Old name, Nowhere", 1))
    here: dict[str, Any] = {"modality": "in_person", "venue_id": GARDEN}
    await world.happen(world.session(facts.SessionReserved, confirm_by=START, **here))
    await world.happen(world.session(facts.SessionConfirmed, confirmed_by="provider", **here))
    rows = await world.rows("SELECT text FROM chat_messages")
    assert rows[0][0].endswith(f"\nWhere: {IN_GARDEN}")


ENDINGS: list[tuple[str, Any]] = [
    ("cancelled by the member", lambda world: world.cancelled("member")),
    ("cancelled by the provider", lambda world: world.cancelled("provider")),
    ("cancelled by the platform", lambda world: world.cancelled("system")),
    ("missed", lambda world: world.missed()),
    ("no-show", lambda world: world.session(facts.MemberNoShow, marked_by="system")),
]


@pytest.mark.rule("NOTE-1", "RESC-4")
@pytest.mark.parametrize(("how", "ending"), ENDINGS, ids=[how for how, _ in ENDINGS])
async def test_the_providers_calendar_follows_as_the_members_does(world: World, how: str, ending: Any) -> None:
    await world.everybody()
    async with world.sending():
        await world.confirmed()
        await world.settled()
        await world.happen(world.moved("provider"))
        await world.settled()
        await world.happen(ending(world))
        mails = await world.inbox.wait_for(world.ada, 3), await world.inbox.wait_for(world.grace, 3)
        await world.settled()
    assert len(world.inbox.mails) == 6
    for mail, other in zip(*mails, strict=True):
        (calendar, event), (theirs, same) = invitation(mail), invitation(other)
        assert calendar["METHOD"] == theirs["METHOD"]
        assert [event[name] for name in ("UID", "SEQUENCE", "DTSTART", "DTEND", "STATUS")] == [
            same[name] for name in ("UID", "SEQUENCE", "DTSTART", "DTEND", "STATUS")
        ]
        assert world.grace in same["ATTENDEE"]
        assert str(same["SUMMARY"]) == "Session with Ada Canary"
    assert calendar["METHOD"] == "CANCEL"


@pytest.mark.rule("NOTE-1")
async def test_a_session_that_was_never_confirmed_is_in_nobodys_calendar(world: World) -> None:
    await world.everybody()
    async with world.sending():
        await world.reserved()
        await world.happen(world.session(facts.SessionDeclined))
        await world.inbox.wait_for(world.ada, 1)
        await world.settled()
    assert [mail["To"].addresses[0].addr_spec for mail in world.inbox.mails] == [world.ada]
