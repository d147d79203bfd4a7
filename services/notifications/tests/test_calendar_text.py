"""What stands in an invitation, as programs read it that nobody here wrote (RFC 5545, RFC 6068, RFC 6868)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
import vobject
from hypothesis import example, given
from hypothesis import strategies as st
from icalendar import Calendar
from makegood_notifications.api.models import ContactRequest
from makegood_notifications.domain.notices import Content
from makegood_notifications.mail.calendar import calendar_message, mailto
from makegood_notifications.mail.published import Appointment, published
from makegood_notifications.mail.texts import AppointmentText
from makegood_testkit.names import real_names
from pydantic import ValidationError

from .conftest import NotificationsHarness
from .test_messages import invitation

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
FACTS = Content("s-1", "r-1", "m", "p", START, START.replace(minute=45), 45, "video", "America/New_York")
LINK = "https://app.example.org/sessions/s-1"
ODD = [
    "ada?subject=hi@example.org",
    "ada#1@example.org",
    "ada%41@example.org",
    "ada&cc=eve@example.org",
    "a/b=c@example.org",
]
_ATOM = "abcxyzABC019!#$%&'*+-/=?^_`{|}~"


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """Addresses that a contact may have: every character that a local part takes without quotes."""
    local = ".".join(draw(st.lists(st.text(_ATOM, min_size=1, max_size=12), min_size=1, max_size=3)))
    return f"{local}@{draw(st.sampled_from(['example.org', 'mail.example.co.uk', 'x--y.example.com']))}"


def allowed(address: str) -> bool:
    try:
        ContactRequest(name="Ada", email=address, time_zone="UTC")
    except ValidationError:
        return False
    return True


def message(name: str, address: str, summary: str = "Session", where: str = LINK) -> bytes:
    return calendar_message(
        FACTS,
        method="REQUEST",
        sequence=0,
        appointment=AppointmentText(summary, where, f"When\nWhere: {where}", LINK),
        organiser="Makegood <no-reply@example.org>",
        attendee=(name, address),
        made_at=START,
    )


def logical(content: bytes) -> list[str]:
    """Content lines, unfolded by the grammar: nothing but CRLF and a blank."""
    assert all(len(row) <= 75 for row in content.split(b"\r\n"))
    return content.replace(b"\r\n ", b"").decode().split("\r\n")


def plain(value: str) -> str:
    """A TEXT read by the grammar (RFC 5545, 3.3.11), one character after the other."""
    read, at = "", 0
    while at < len(value):
        if value[at] == "\\":
            at += 1
            assert value[at] in '\\;,nN"', "nothing else may follow a backslash"
            read += "\n" if value[at] in "nN" else value[at]
        else:
            assert value[at] not in ";,"
            read += value[at]
        at += 1
    return read


@pytest.mark.rule("NOTE-1", "RESC-4")
@example("x^nO", "a@b.example")
@example('x^"', "a@b.example")
@given(real_names() | st.sampled_from(["Back\\Nash", "Back\\nash", "\\", "a\\;b"]), addresses().filter(allowed))
def test_names_places_and_addresses_are_read_as_they_are(name: str, address: str) -> None:
    content = message(name, address, f"Session with {name}", f"{name}; {name}, Leeds")
    lines = {line.split(":", 1)[0].split(";")[0]: line for line in logical(content) if line}
    assert plain(lines["SUMMARY"].split(":", 1)[1]) == f"Session with {name}"
    assert plain(lines["LOCATION"].split(":", 1)[1]) == f"{name}; {name}, Leeds"
    assert plain(lines["DESCRIPTION"].split(":", 1)[1]) == f"When\nWhere: {name}; {name}, Leeds"
    assert unquote(lines["ATTENDEE"].rpartition(":mailto:")[2]) == address

    # A parameter knows no backslashes; three carets are RFC 6868's.
    called = lines["ATTENDEE"].split('CN="', 1)[1].split('"')[0]
    assert called.replace("^^", "^") == name.replace('"', "'").replace("^^", "^")
    assert not re.search(r"\^[n']", called.replace("^^", ""))

    (event,) = Calendar.from_ical(content).events
    assert not event.errors
    assert str(event["SUMMARY"]) == f"Session with {name}"
    assert str(event["LOCATION"]) == f"{name}; {name}, Leeds"
    assert unquote(str(event["ATTENDEE"]).removeprefix("mailto:")) == address

    other: Any = vobject.readOne(content.decode()).vevent
    assert other.summary.value == f"Session with {name}"
    assert other.location.value == f"{name}; {name}, Leeds"
    assert unquote(other.attendee.value.removeprefix("mailto:")) == address
    assert other.url.value == LINK


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("address", ODD)
def test_an_address_does_not_become_somebody_elses(address: str) -> None:
    uri = mailto(address)
    assert not set(uri.removeprefix("mailto:")) & set("?#&/=;")
    assert unquote(uri.removeprefix("mailto:")) == address
    assert mailto("ada.o'neil+care@example.org") == "mailto:ada.o'neil+care@example.org"


@pytest.mark.rule("NOTE-1")
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    one = Appointment("s-1", START, START, 0, "CONFIRMED", AppointmentText(text, f"x{text}", text, LINK))
    for content in (
        published([one], made_at=START, name="Makegood"),
        message(text, "ada@example.org", text, f"x{text}"),
    ):
        lines = logical(content)
        names = [line.split(":", 1)[0].split(";")[0] for line in lines if line]
        assert names.count("SUMMARY") == names.count("URL") == names.count("BEGIN") / 2 == 1
        assert all(name.replace("-", "").isalpha() for name in names)


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("address", ODD[:3])
async def test_the_invitation_that_is_mailed_has_exactly_that_address(
    harness: NotificationsHarness, address: str
) -> None:
    await harness.register(harness.member, "Back\\Nash", address)
    await harness.register(harness.provider, "Back\\Nash", harness.grace)
    async with harness.sending():
        await harness.confirmed()
        (mail,) = await harness.inbox.wait_for(address, 1)
    _, event = invitation(mail)
    assert unquote(str(event["ATTENDEE"]).removeprefix("mailto:")) == address
    assert str(event["ATTENDEE"]).count("?") == 0
    assert str(event["SUMMARY"]) == "Session with Back\\Nash"
