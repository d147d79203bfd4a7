"""Dates, times, offsets and amounts: one way of writing them in a message, its reader's (NOTE-1)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_notifications.domain.links import Links
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.mail.formatting import formatter
from makegood_notifications.mail.wording import Wording

WORDING = Wording(Links("https://app"))
START = datetime(2027, 1, 25, 15, 0, tzinfo=UTC)
MORE = Details(
    was_at=START - timedelta(days=1), confirm_by=START, due_on=date(2027, 1, 30), amount_minor=123456, currency="EUR"
)
FACTS = Content("s", "r", "m", "p", START, START + timedelta(minutes=45), 45, "video", "Europe/Vienna", details=MORE)


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("locale", "day", "before", "amount"),
    [
        ("en", "Monday, January 25, 2027", "Sunday, January 24, 2027", "€1,234.56"),
        ("en-GB", "Monday, 25 January 2027", "Sunday, 24 January 2027", "€1,234.56"),
        ("de", "Montag, 25. Januar 2027", "Sonntag, 24. Januar 2027", "1.234,56\u00a0€"),
        ("de-AT", "Montag, 25. Jänner 2027", "Sonntag, 24. Jänner 2027", "€\u00a01.234,56"),
        ("de-CH", "Montag, 25. Januar 2027", "Sonntag, 24. Januar 2027", "1’234.56"),
    ],
)
def test_a_mail_writes_all_dates_and_amounts_as_its_reader_does(
    locale: str, day: str, before: str, amount: str
) -> None:
    moved = WORDING.email("to-provider-moved", FACTS, name="", other="Ada", locale=locale, to="provider").text
    assert f": {day}\n" in moved
    assert f": {before}" in moved
    assert f": {day}, " in moved, "until when to confirm"
    invoice = WORDING.email("invoice-issued", FACTS, name="", other="Ada", locale=locale).text
    assert amount in invoice
    assert day.partition(", ")[2].replace("25", "30") in invoice
    assert day in WORDING.chat("session-moved-by-member", FACTS, locale)
    assert before in WORDING.chat("session-moved-by-member", FACTS, locale)
    assert day in WORDING.short("to-provider-moved", FACTS, other="", locale=locale).text
    assert day in WORDING.in_app("to-provider-moved", FACTS, other="", locale=locale).text
    if locale == "de-AT":
        assert "Januar" not in moved + invoice


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("locale", "instant", "zone", "times"),
    [
        ("en", "2026-10-25T00:30:00+00:00", "Europe/Berlin", "2:30 AM GMT+02:00 – 2:15 AM GMT+01:00"),
        ("de", "2026-10-25T00:30:00+00:00", "Europe/Berlin", "02:30 GMT+02:00 – 02:15 GMT+01:00"),
        ("en", "2026-03-29T00:30:00+00:00", "Europe/Berlin", "1:30 AM GMT+01:00 – 3:15 AM GMT+02:00"),
        ("en", "2026-11-01T05:30:00+00:00", "America/New_York", "1:30 AM GMT−04:00 – 1:15 AM GMT−05:00"),
        ("en-GB", "2026-10-03T15:15:00+00:00", "Australia/Lord_Howe", "01:45 GMT+10:30 – 03:00 GMT+11:00"),
    ],
)
def test_a_session_over_a_clock_change_names_both_offsets(locale: str, instant: str, zone: str, times: str) -> None:
    start = datetime.fromisoformat(instant)
    facts = Content("s", "r", "m", "p", start, start + timedelta(minutes=45), 45, "video", zone)
    mail = WORDING.email("session-confirmed", facts, name="", other="", locale=locale)
    followed = WORDING.appointment(facts, "confirmed", other="", locale=locale, to="member")
    for text in (
        mail.text,
        mail.appointment.description,
        followed.description,
        WORDING.chat("session-confirmed", facts, locale),
    ):
        assert times in text.replace("\u00a0", " ")
        assert zone in text


@pytest.mark.rule("NOTE-1")
def test_an_instant_of_the_hour_that_comes_twice_says_which() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    english = formatter("en", "en")
    assert english.moment(first, "Europe/Berlin").endswith("2:30\u00a0AM GMT+02:00")
    assert english.moment(first + timedelta(hours=1), "Europe/Berlin").endswith("2:30\u00a0AM GMT+01:00")
    assert english.moment(first + timedelta(hours=2), "Europe/Berlin").endswith(", 3:30\u00a0AM")


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("template", "to", "what"),
    [
        ("to-provider-confirm", "provider", "confirm_by"),
        ("to-provider-outcome", "provider", "answer_by"),
        ("waitlist-offered", "member", "open_until"),
        ("session-moved-by-provider", "member", "was_at"),
    ],
)
@pytest.mark.parametrize(
    ("locale", "shown"), [("en-GB", "10:00 GMT+02:00"), ("en-US", "10:00 AM GMT+02:00"), ("de-AT", "10:00 GMT+02:00")]
)
def test_an_instant_beyond_a_clock_change_is_not_read_with_the_sessions_offset(
    template: str, to: str, what: str, locale: str, shown: str
) -> None:
    """A mail says `Europe/Berlin, GMT+01:00` of the session; the day before the offset was another one."""
    start = datetime(2026, 10, 25, 9, 0, tzinfo=UTC)

    def mail(at: datetime) -> str:
        details = Details(**{what: at})  # type: ignore[arg-type]
        facts = Content(
            "s", "r", "m", "p", start, start + timedelta(minutes=45), 45, "video", "Europe/Berlin", details=details
        )
        return WORDING.email(template, facts, name="", other="Ada", locale=locale, to=to).text.replace("\u00a0", " ")

    before = mail(start - timedelta(hours=25))
    assert "Europe/Berlin, GMT+01:00" in before
    assert shown in before
    assert mail(start + timedelta(hours=1)).count("GMT") == 1


@pytest.mark.rule("NOTE-1", "BOOK-2")
@given(
    st.integers(0, 2 * 365 * 24 * 60),
    st.integers(5, 480),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
)
def test_what_is_said_leads_back_to_the_instants(since: int, minutes: int, zone: str) -> None:
    """Read as a person does: the date, two clock times, and an offset for each."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=since)
    end = start + timedelta(minutes=minutes)
    spoken = formatter("en-GB", "en").session(start, end, zone)
    first, last = spoken.times.split(" – ")
    own = [re.search(r"GMT\S*$", part) for part in (first, last)]
    offsets = [found[0] if found else spoken.zone.rpartition(", ")[2] for found in own]
    day = datetime.strptime(f"{spoken.date} +0000", "%A, %d %B %Y %z")

    def instant(clock: str, offset: str) -> datetime:
        hour, minute = map(int, clock.split()[0].split(":"))
        found = re.fullmatch(r"GMT(?:([+−])(\d\d):(\d\d))?", offset)
        assert found, offset
        shift = timedelta(hours=int(found[2] or 0), minutes=int(found[3] or 0)) * (-1 if found[1] == "−" else 1)
        return day + timedelta(hours=hour, minutes=minute) - shift

    assert instant(first, offsets[0]) == start
    assert (instant(last, offsets[1]) - end) % timedelta(days=1) == timedelta()


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("own", ["bell hooks", "dr. müller", "ǆemal"])
def test_peoples_names_are_written_as_they_write_them(own: str) -> None:
    for template, to in (("session-confirmed", "member"), ("to-provider-moved", "provider")):
        text = WORDING.email(template, FACTS, name="", other=own, locale="en", to=to).text
        assert f"\n{own} " in text
    nameless = WORDING.email("session-confirmed", FACTS, name="", other="", locale="en").text
    assert "\nYour provider confirmed" in nameless
