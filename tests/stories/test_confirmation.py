"""Confirming, declining, and what happens if nobody does (CONF)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from icalendar import Calendar
from makegood_testkit.platform import WHAT, Cast

CONFIRMED = "Your session is confirmed! Mark your calendar."


@pytest.mark.rule("CONF-1", "NOTE-1", "RESC-4")
async def test_the_member_gets_chat_email_and_invitation(cast: Cast) -> None:
    session = await cast.confirmed()
    assert session["status"] == "confirmed"
    mail = await cast.inbox().wait_for(CONFIRMED)
    assert mail["Text"].strip()
    assert "<html" in mail["HTML"].lower()
    invitations = [part for part in mail["Attachments"] if part["FileName"].endswith(".ics")]
    assert len(invitations) == 1
    event = await invitation(cast, mail)
    assert event["method"] == "REQUEST"
    assert event["sequence"] == 0
    assert event["start"] == datetime.fromisoformat(session["starts_at"])
    assert any(message["kind"] == "system" and "confirmed" in message["text"] for message in await cast.chat())


@pytest.mark.rule("RESC-4", "CANC-2")
async def test_a_cancelled_session_leaves_the_calendar(cast: Cast) -> None:
    session = await cast.confirmed()
    inbox = cast.inbox()
    request = await invitation(cast, await inbox.wait_for(CONFIRMED))
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", {"remark": f"ill {WHAT}"}, wait=15)

    async def cancellation() -> list[dict[str, object]]:
        events = [await invitation(cast, mail) for mail in await inbox.all()]
        return [event for event in events if event and event["method"] == "CANCEL"]

    (cancel,) = await cast.eventually(cancellation, lambda seen: len(seen) == 1)
    assert cancel["uid"] == request["uid"]
    assert cancel["sequence"] == 1


@pytest.mark.rule("CONF-1", "CANC-3")
async def test_a_declined_session_gives_slot_and_credit_back(cast: Cast) -> None:
    session = await cast.book()
    async with cast.ticker() as ticker:
        await cast.provider.post(f"/v1/sessions/{session['id']}/decline")
        await ticker.until("SessionDeclined", "SlotReleased", "CreditReturned")
    await cast.settled(session, "declined", "returned")
    again = await cast.member.post(
        "/v1/sessions", cast.booking_body(datetime.fromisoformat(session["starts_at"])), wait=15
    )
    assert again["status"] == "reserved"


@pytest.mark.rule("CONF-2")
async def test_the_deadline_is_a_day_before_the_start(cast: Cast) -> None:
    session = await cast.book(timedelta(days=4))
    starts_at = datetime.fromisoformat(session["starts_at"])
    assert datetime.fromisoformat(session["confirm_by"]) == starts_at - timedelta(hours=24)


@pytest.mark.rule("CONF-2")
async def test_with_short_notice_the_deadline_is_two_hours_after_booking(cast: Cast) -> None:
    before = await cast.platform.now()
    session = await cast.book(timedelta(hours=20))
    after = await cast.platform.now()
    confirm_by = datetime.fromisoformat(session["confirm_by"])
    assert before + timedelta(hours=2) <= confirm_by <= after + timedelta(hours=2)


@pytest.mark.rule("CONF-2")
async def test_the_deadline_is_never_later_than_the_start(cast: Cast) -> None:
    session = await cast.book(timedelta(minutes=30))
    assert session["confirm_by"] == session["starts_at"]


@pytest.mark.rule("CONF-2")
async def test_unconfirmed_at_the_deadline_the_session_expires_and_everything_returns(cast: Cast) -> None:
    session = await cast.book()
    confirm_by = datetime.fromisoformat(session["confirm_by"])
    await cast.platform.advance_to(confirm_by - timedelta(minutes=1))
    assert (await cast.session(session))["status"] == "reserved"
    async with cast.ticker() as ticker:
        await cast.platform.advance_to(confirm_by)
        await ticker.until("SessionExpired", "SlotReleased", "CreditReturned", "MessageDelivered")
    await cast.settled(session, "expired", "returned")
    assert (await cast.credits())["available"] == 4


async def invitation(cast: Cast, mail: dict[str, object]) -> dict[str, object]:
    """What the calendar part of a mail says; empty without one."""
    import httpx

    async with httpx.AsyncClient(base_url=cast.platform.stack.mail_url, trust_env=False) as http:
        whole = (await http.get(f"/api/v1/message/{mail['ID']}")).json()
        for part in whole["Attachments"]:
            if part["FileName"].endswith(".ics"):
                content = await http.get(f"/api/v1/message/{mail['ID']}/part/{part['PartID']}")
                calendar = Calendar.from_ical(content.content)
                event = next(iter(calendar.walk("VEVENT")))
                return {
                    "method": str(calendar["METHOD"]),
                    "uid": str(event["UID"]),
                    "sequence": int(str(event["SEQUENCE"])),
                    "start": event.decoded("DTSTART"),
                }
    return {}
