"""E-mails and invitations as other people's programs read them."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from makegood_notifications.domain.links import Links
from makegood_notifications.domain.notices import Content
from makegood_notifications.mail import wording
from makegood_notifications.mail.calendar import calendar_message
from makegood_notifications.mail.composer import Part, compose
from makegood_notifications.mail.texts import AppointmentText
from makegood_notifications.mail.wording import Wording

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
FACTS = Content("s-1", "r-1", "m", "p", START, START.replace(minute=45), 45, "video", "America/New_York")
names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=200).filter(str.strip)


@pytest.mark.rule("RESC-4")
@given(names, names)
def test_an_invitation_says_the_same_whatever_the_names(name: str, provider: str) -> None:
    text = calendar_message(
        FACTS,
        method="REQUEST",
        sequence=3,
        appointment=AppointmentText(
            f"Session with {provider}", "Leeds", "When and where", "https://app.example.org/sessions/s-1"
        ),
        organiser="Makegood <no-reply@example.org>",
        attendee=(name, "ada@example.org"),
        made_at=START,
    )
    assert all(len(line) <= 75 for line in text.split(b"\r\n"))
    calendar: Any = Calendar.from_ical(text)
    (event,) = calendar.events
    assert not event.errors
    assert calendar["METHOD"] == "REQUEST"
    assert str(event["SUMMARY"]) == f"Session with {provider}"
    assert str(event["ATTENDEE"]) == "mailto:ada@example.org"
    assert str(event["ORGANIZER"]) == "mailto:no-reply@example.org"
    assert (event["UID"], event["SEQUENCE"]) == ("s-1@makegood", 3)
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (FACTS.starts_at, FACTS.ends_at)
    assert event["URL"] == "https://app.example.org/sessions/s-1"


@pytest.mark.rule("NOTE-1")
@given(names, st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300))
def test_a_mail_reads_back_as_it_was_written(name: str, line: str) -> None:
    mail = compose(
        message_id="d-1@example.org",
        sent_at=START,
        sender="Makegood <no-reply@example.org>",
        recipient=(name, "ada@example.org"),
        subject="Your session",
        text=f"{line}\nsecond line",
        html=f"<p>{line}</p>",
        language="en",
        calendar=Part("REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"),
    )
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert all(len(row) <= 998 for row in mail.content.split(b"\r\n"))
    read: Any = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert [part.get_content_type() for part in read.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics",
    ]  # fmt: skip
    assert [part.defects for part in read.walk() if part.defects] == []
    assert [address.addr_spec for address in read["To"].addresses] == ["ada@example.org"]
    assert set(read.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted", "Content-Language", "Content-Type",
    }  # fmt: skip
    words = re.findall(rb"=\?utf-8\?[bq]\?[^?]*\?=", mail.content.partition(b"\r\n\r\n")[0])
    assert all(len(word) <= 75 for word in words)  # RFC 2047, 2
    (plain,) = [part for part in read.walk() if part.get_content_type() == "text/plain"]
    assert plain.get_content().splitlines() == [*(line.splitlines() or [""]), "second line"]


@pytest.mark.rule("BOOK-2")
@pytest.mark.parametrize(
    ("zone", "instant", "shown"),
    [
        ("America/New_York", "2026-11-24T15:00:00+00:00", "10:00\u00a0AM"),
        ("America/New_York", "2026-10-24T15:00:00+00:00", "11:00\u00a0AM"),
        ("Asia/Kolkata", "2026-11-24T04:30:00+00:00", "10:00\u00a0AM"),
        ("Australia/Lord_Howe", "2026-10-03T15:00:00+00:00", "1:30\u00a0AM"),
    ],
)
def test_times_are_shown_in_the_zone_of_the_booking_and_name_it(zone: str, instant: str, shown: str) -> None:
    start = datetime.fromisoformat(instant)
    facts = Content("s", "r", "m", "p", start, start, 30, "video", zone)
    text = Wording(Links("https://app")).chat("session-confirmed", facts, "en")
    assert shown in text
    assert zone in text


@pytest.mark.parametrize("locale", ["fr", "xx", "en-XX", "en_GB", "zh-Hant-TW"])
def test_a_language_without_templates_is_answered_in_english(locale: str) -> None:
    mail = Wording(Links("https://app")).email("provider-missed", FACTS, name="", other="", locale=locale)
    assert mail.subject == "Your provider missed your scheduled session."
    assert mail.text.startswith("Hello,\n")
    assert "Your provider did not come" in mail.text
    assert "November" in mail.text


def test_names_cannot_become_templates_or_markup() -> None:
    mail = Wording(Links("https://app")).email(
        "provider-missed", FACTS, name="{{ 7 * 7 }}<script>", other="{% raw %}", locale="en"
    )
    assert "{{ 7 * 7 }}<script>" in mail.text
    assert "<script>" not in mail.html
    assert "49" not in mail.text


@pytest.mark.rule("NOTE-1")
def test_a_long_name_in_another_script_is_written_in_words_that_programs_read() -> None:
    name = "Владимир Владимирович Преображенский-Белосельский " * 4
    mail = compose(
        message_id="d-1@example.org", sent_at=START, sender="Makegood <no-reply@example.org>",
        recipient=(name, "ada@example.org"), subject="Your session", text="x", html="x", language="en",
    )  # fmt: skip
    words = re.findall(rb"=\?utf-8\?[bq]\?[^?]*\?=", mail.content)
    assert len(words) > 1
    assert all(len(word) <= 75 for word in words)  # RFC 2047, 2
    raw = email.message_from_bytes(mail.content)["To"]  # the newer parsers of 3.11 put blanks between the words
    assert str(make_header(decode_header(raw))) == f"{name.strip()} <ada@example.org>"


@pytest.mark.rule("NOTE-1")
def test_a_name_that_looks_like_an_encoded_word_is_read_as_it_is_written() -> None:
    name = 'Dr. =?utf-8?q?X=0AY?= O\'Neil; "T"'
    mail = compose(
        message_id="d-1@example.org", sent_at=START, sender="Makegood <no-reply@example.org>",
        recipient=(name, "ada@example.org"), subject="Your session", text="x", html="x", language="en",
    )  # fmt: skip
    raw = email.message_from_bytes(mail.content)["To"]
    assert str(make_header(decode_header(raw))) == f"{name} <ada@example.org>"


@pytest.mark.rule("NOTE-1")
def test_who_gave_no_name_is_named_as_the_sentence_needs_it() -> None:
    mail = Wording(Links("https://app")).email("reminder", FACTS, name="", other="", locale="de")
    assert "deine Sitzung mit deiner Behandlerin oder deinem Behandler." in mail.text
    assert "Mit: deiner Behandlerin oder deinem Behandler" in mail.text
    assert mail.appointment.summary == "Sitzung mit deiner Behandlerin oder deinem Behandler"


@pytest.mark.rule("NOTE-1")
def test_no_text_repeats_a_number_of_the_policy() -> None:
    """Each session has its own policy; a number in a template would be wrong for some of them."""
    templates = Path(wording.__file__).parents[1] / "templates"
    texts = [path.read_text() for path in templates.glob("*/messages.toml")]
    assert texts
    assert not [line for text in texts for line in text.splitlines() if re.search(r"\d", line)]
