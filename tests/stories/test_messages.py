"""What people are told, through the gateway: reminders, the ready message, calendars, messages in the app, and erasure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from icalendar import Calendar
from makegood_devtools.client import Person, Refused
from makegood_testkit.platform import Cast, address

REMINDER = "Your session is coming up."
CONFIRMED = "Your session is confirmed! Mark your calendar."
DAY, HOUR = timedelta(hours=24), timedelta(hours=1)


async def reminders(cast: Cast, session: Mapping[str, Any], person: Person) -> list[str]:
    """States of the e-mailed reminders of a session to somebody."""
    found = await person.get("/v1/deliveries", session_id=session["id"], limit=200)
    return [one["status"] for one in found["items"] if one["subject"] == REMINDER and one["channel"] == "email"]


async def sent(cast: Cast, session: Mapping[str, Any], person: Person, count: int) -> None:
    """So many reminders of the session were e-mailed to somebody."""
    await cast.eventually(lambda: reminders(cast, session, person), lambda seen: seen == ["sent"] * count)


async def whatsapp(cast: Cast, phone: str) -> list[dict[str, Any]]:
    """What the development side's WhatsApp took for a number, newest first."""
    async with httpx.AsyncClient(base_url=cast.platform.stack.mail_url, trust_env=False) as client:
        taken = (await client.get("/api/v1/whatsapp")).json()["messages"]
    return [one for one in taken if one["To"] == phone]


async def contact(cast: Cast, person: Person, **changes: Any) -> None:
    path = f"/v1/people/{person.subject}/contact"
    await person.put(path, {**(await person.get(path)).body, **changes})


def starts(session: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(session["starts_at"])


@pytest.mark.rule("REM-1")
async def test_both_are_reminded_by_themselves_a_day_and_an_hour_before(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=4))
    await cast.platform.advance_to(starts(session) - DAY - timedelta(minutes=1))
    assert await reminders(cast, session, cast.member) == []
    for count, before in enumerate((DAY, HOUR), start=1):
        await cast.platform.advance_to(starts(session) - before)
        for person in (cast.member, cast.provider):
            await sent(cast, session, person, count)
    assert len([mail for mail in await cast.inbox().all() if mail["Subject"] == REMINDER]) == 2
    assert len([mail for mail in await cast.inbox(cast.provider).all() if mail["Subject"] == REMINDER]) == 2


@pytest.mark.rule("REM-1", "NOTE-3")
async def test_nobody_is_reminded_of_a_session_that_was_cancelled_or_moved(cast: Cast) -> None:
    other = await cast.platform.cast()
    gone, moved = await cast.confirmed(timedelta(days=4)), await other.confirmed(timedelta(days=4))
    await cast.member.post(f"/v1/sessions/{gone['id']}/cancel", wait=15)
    await other.move(moved, starts(moved) + timedelta(days=2), other.provider)
    latest = max(starts(gone), starts(moved))
    await cast.platform.advance_to(latest - timedelta(minutes=30))
    assert await reminders(cast, gone, cast.member) == []
    assert await reminders(other, moved, other.member) == []
    # At its new time the moved one is reminded of.
    await cast.platform.advance_to(starts(moved) + timedelta(days=2) - HOUR)
    await cast.eventually(lambda: reminders(other, moved, other.member), lambda seen: "sent" in seen)


@pytest.mark.rule("REM-1", "NOTE-1")
async def test_the_provider_reminds_by_hand_by_mail_and_by_whatsapp_where_the_plan_allows(cast: Cast) -> None:
    session = await cast.confirmed()
    await cast.inbox().wait_for(CONFIRMED)  # they have heard of it
    path = f"/v1/sessions/{session['id']}/reminders"
    await contact(cast, cast.member, locale="de", channels={"email": True, "whatsapp": True, "chat": True})
    phone = str((await cast.member.get(f"/v1/people/{cast.member.subject}/contact"))["phone"]).removeprefix("+")
    mailed = await cast.provider.post(path, {"channel": "email"})
    assert (mailed["channel"], mailed["person_id"]) == ("email", cast.member.subject)
    await cast.inbox().wait_for("Deine Sitzung steht bevor.")
    await cast.provider.post(path, {"channel": "whatsapp"})
    taken = await cast.eventually(lambda: whatsapp(cast, phone), lambda seen: len(seen) == 1)
    assert (taken[0]["Template"], taken[0]["Language"]) == ("makegood_reminder", "de")
    other = await cast.platform.cast(plan="eap-6", length=45)  # a plan of e-mails alone, whatever the member chose
    await contact(other, other.member, channels={"email": True, "whatsapp": True, "chat": True})
    theirs = await other.confirmed()
    await other.inbox().wait_for(CONFIRMED)
    with pytest.raises(Refused) as refused:
        await other.provider.post(f"/v1/sessions/{theirs['id']}/reminders", {"channel": "whatsapp"})
    assert (refused.value.status, refused.value.slug) == (409, "reminder-not-possible")


@pytest.mark.rule("AVAIL-5", "ROOM-4")
async def test_no_time_fits_and_the_provider_reads_it_with_the_plans_length(cast: Cast) -> None:
    said = await cast.member.post(f"/v1/rooms/{cast.room_id}/time-request", {})
    assert "sessions of 30 minutes" in said["text"]
    read = await cast.provider.get(f"/v1/rooms/{cast.room_id}/messages")
    assert read["items"][0] == said.body
    with pytest.raises(Refused) as refusal:
        await cast.member.post(f"/v1/rooms/{cast.room_id}/time-request", {"length_minutes": 45})
    assert (refusal.value.status, refusal.value.slug) == (409, "length-not-in-plan")


@pytest.mark.rule("RESC-4")
async def test_a_calendar_program_follows_the_session_without_a_token(cast: Cast) -> None:
    session = await cast.confirmed()
    made = await cast.member.post(f"/v1/people/{cast.member.subject}/calendar-feed")
    path = httpx.URL(made["url"]).path
    http = cast.platform.gateway.http

    def events_of(answer: httpx.Response) -> list[Any]:
        assert answer.headers["content-type"].startswith("text/calendar")
        calendar: Any = Calendar.from_ical(answer.content)
        return list(calendar.events)

    async def shown() -> list[tuple[str, int, datetime]]:
        events = events_of(await http.get(path))
        return [(str(one["STATUS"]), int(one["SEQUENCE"]), one["DTSTART"].dt) for one in events]

    await cast.eventually(shown, lambda seen: seen == [("CONFIRMED", 0, starts(session))])
    later = starts(session) + timedelta(days=1)
    await cast.move(session, later)
    await cast.eventually(shown, lambda seen: seen == [("TENTATIVE", 1, later)])
    file = await http.get(
        f"/v1/sessions/{session['id']}/calendar.ics", headers={"Authorization": f"Bearer {cast.provider.token}"}
    )
    assert events_of(file)[0]["SEQUENCE"] == 1
    await cast.provider.post(f"/v1/sessions/{session['id']}/confirm")
    await cast.eventually(shown, lambda seen: seen == [("CONFIRMED", 2, later)])
    invitations = [mail for mail in await cast.inbox().all() if "moved" in mail["Subject"]]
    assert len(invitations) == 1
    await cast.member.delete(f"/v1/people/{cast.member.subject}/calendar-feed")
    assert (await http.get(path)).status_code == 404


@pytest.mark.rule("NOTE-1")
async def test_a_new_booking_waits_for_its_provider_who_is_asked_after_a_while(cast: Cast) -> None:
    await cast.book()
    await cast.platform.advance(timedelta(minutes=11))
    mail = await cast.inbox(cast.provider).wait_for("A session is waiting for your confirmation.")
    assert "booked a session with you" in mail["Text"]
    listed = await cast.provider.get(f"/v1/people/{cast.provider.subject}/messages")
    assert listed["items"][0]["template"] == "to-provider-confirm"


@pytest.mark.rule("NOTE-3", "SEC-5")
async def test_somebody_who_is_erased_is_told_nothing_more(cast: Cast) -> None:
    session = await cast.confirmed()
    await cast.inbox().wait_for("Your session is confirmed! Mark your calendar.")
    await cast.member.post(f"/v1/rooms/{cast.room_id}/messages", {"text": "Something of mine"})
    before = (await cast.member.get(f"/v1/people/{cast.member.subject}/export")).body
    assert before["contact"]["email"] == address(cast.member)
    assert "Something of mine" in [one["text"] for one in before["messages"]]
    await cast.support.delete(f"/v1/people/{cast.member.subject}", params={"reason": "law_requires_it", "now": "true"})
    after = (await cast.member.get(f"/v1/people/{cast.member.subject}/export")).body
    assert after["contact"] is None
    assert "Something of mine" not in str(after)
    await cast.settled(session, "cancelled", "returned")  # NOTE-5
    await cast.platform.settle()

    async def mails() -> set[tuple[str, str]]:
        query = {"person_id": cast.member.subject, "session_id": session["id"], "limit": 200}
        found = await cast.support.get("/v1/deliveries", **query)
        return {(one["status"], one["template"]) for one in found["items"] if one["channel"] == "email"}

    ended = await cast.eventually(mails, lambda seen: not any(status == "queued" for status, _ in seen))
    assert {template for status, template in ended if status == "sent"} == {"session-confirmed"}
    rows = await cast.support.get("/v1/notifications/access", person_id=cast.member.subject)
    assert "person.erase" in [row["operation"] for row in rows["items"]]
