"""People's names in mails and calendars, as other programs read them: whatever the script, and whatever formats must escape."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given
from icalendar import Calendar
from makegood_notifications.domain.notices import Content
from makegood_notifications.mail.calendar import calendar_message
from makegood_notifications.mail.composer import Part, compose
from makegood_notifications.mail.published import Appointment, published
from makegood_notifications.mail.texts import AppointmentText
from makegood_testkit.names import real_names

from .conftest import NotificationsHarness

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
FACTS = Content("s-1", "r-1", "m", "p", START, START.replace(minute=45), 45, "video", "America/New_York")
FAMILY, ALIREZA = "👩‍👩‍👧‍👦 Ada", "علی‌رضا"


def unfolded(content: bytes) -> str:
    return content.replace(b"\r\n ", b"").decode()


@pytest.mark.rule("RESC-4", "NOTE-1")
@given(real_names(), real_names())
def test_an_invitation_calls_both_by_their_names(name: str, provider: str) -> None:
    content = calendar_message(
        FACTS, method="REQUEST", sequence=0, organiser="Makegood <no-reply@example.org>",
        appointment=AppointmentText(f"Session with {provider}", "Leeds", "When and where", "https://app.example.org/sessions/s-1"),
        attendee=(name, "ada@example.org"), made_at=START,
    )  # fmt: skip
    (event,) = Calendar.from_ical(content).events
    assert str(event["SUMMARY"]) == f"Session with {provider}"
    # RFC 5545 has no way to write a quote in a parameter; RFC 6868 has one that some programs show as it stands.
    shown = name.replace('"', "'")
    assert f'ATTENDEE;CN="{shown}";' in unfolded(content)
    assert str(event["ATTENDEE"]) == "mailto:ada@example.org"
    assert set(event["ATTENDEE"].params) == {"CN", "PARTSTAT", "ROLE"}


@pytest.mark.rule("NOTE-1")
@given(real_names())
def test_a_followed_calendar_and_a_mail_call_people_by_their_names(name: str) -> None:
    one = Appointment(
        "s-1",
        START,
        START.replace(minute=45),
        0,
        "CONFIRMED",
        AppointmentText(f"Session with {name}", "Leeds", "", "https://x.example/s"),
    )
    (event,) = Calendar.from_ical(published([one], made_at=START, name="Makegood")).events
    assert str(event["SUMMARY"]) == f"Session with {name}"
    mail = compose(
        message_id="d-1@example.org", sent_at=START, sender="Makegood <no-reply@example.org>",
        recipient=(name, "ada@example.org"), subject="Your session", text=f"Hello {name},", html=f"<p>{name}</p>",
        language="en", calendar=Part("REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"),
    )  # fmt: skip
    read: Any = email.message_from_bytes(mail.content, policy=email.policy.compat32)
    shown, address = parseaddr(read["To"])
    assert address == "ada@example.org"
    assert str(make_header(decode_header(shown))) == " ".join(name.split())
    plain = next(part for part in read.walk() if part.get_content_type() == "text/plain")
    assert plain.get_payload(decode=True).decode().strip() == f"Hello {name},"


@pytest.mark.rule("RESC-4")
async def test_joiners_reach_mail_and_calendar_whole(harness: NotificationsHarness) -> None:
    await harness.register(harness.member, ALIREZA, harness.ada)
    await harness.register(harness.provider, FAMILY, harness.grace)
    await harness.confirmed()
    async with harness.sending():
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    assert mail["To"].addresses[0].display_name == ALIREZA
    parts: Any = {part.get_content_type(): part for part in mail.walk()}
    invitation = parts["text/calendar"].get_payload(decode=True)
    assert f'CN="{ALIREZA}"' in unfolded(invitation)
    (event,) = Calendar.from_ical(invitation).events
    assert str(event["SUMMARY"]) == f"Session with {FAMILY}"
    assert FAMILY in parts["text/html"].get_payload(decode=True).decode()


@pytest.mark.parametrize(
    "name", ["https://evil.example", "Ada www.evil.example", "x\u202egpj.exe", "\u200d\u200b", "pay at evil.com"]
)
async def test_a_name_that_leads_somewhere_steers_or_shows_nothing_is_refused(
    harness: NotificationsHarness, name: str
) -> None:
    body = {"name": name, "email": harness.ada, "time_zone": "UTC"}
    client = harness.client("member", harness.member)
    answer = await client.put(f"/v1/people/{harness.member}/contact", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/name"]
