"""Calendar messages (RFC 5545, RFC 5546) of a session (RESC-4).

The lines are written here, because building a library's objects takes six times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from makegood_notifications.domain.invitations import CalendarStatus, Method, uid
from makegood_notifications.domain.notices import Content
from makegood_notifications.mail.composer import mailbox
from makegood_notifications.mail.texts import AppointmentText

PRODUCT = "-//Makegood//Makegood//EN"
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, except for tabs and the line breaks that are written as such."""
_CARETS: Final = re.compile(r"\^(?=[n^'])")
_IN_LOCAL_PARTS: Final = "!$'*+-._~"
LONGEST_ROW = 75
"""Octets (RFC 5545, 3.1)."""


def calendar_message(
    content: Content,
    *,
    method: Method,
    sequence: int,
    appointment: AppointmentText,
    organiser: str,
    attendee: tuple[str, str],
    made_at: datetime,
) -> bytes:
    """One `VCALENDAR` as bytes. Times are in UTC, so that every calendar shows them correctly.

    A REQUEST is TENTATIVE until the provider has confirmed. `attendee` is (name, address). `made_at` becomes DTSTAMP,
    which stays the same if the message is repeated.
    """
    organiser_name, organiser_address = mailbox(organiser)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        f"UID:{uid(str(content.session_id))}",
        f"DTSTAMP:{instant_text(made_at)}",
        f"DTSTART:{instant_text(content.starts_at)}",
        f"DTEND:{instant_text(content.ends_at)}",
        f"SEQUENCE:{sequence}",
        f"STATUS:{_status(content, method)}",
        *described(appointment),
        f"ORGANIZER{_name(organiser_name)}:{mailto(organiser_address)}",
        f"ATTENDEE{_name(attendee[0])};PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT:{mailto(attendee[1])}",
        "CLASS:PRIVATE",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return b"\r\n".join([folded(line) for line in lines])


def described(appointment: AppointmentText) -> Iterator[str]:
    """The lines that people read. Some calendars show no URL, so the description has it as well."""
    yield f"SUMMARY:{text_value(appointment.summary)}"
    if appointment.where:
        yield f"LOCATION:{text_value(appointment.where)}"
        yield f"DESCRIPTION:{text_value(appointment.description)}"
    yield f"URL:{appointment.link}"


def mailto(address: str) -> str:
    """The address as a URI (RFC 6068, 2). Characters with a meaning in URIs are encoded; otherwise it would be another
    address.
    """
    local, _, domain = address.rpartition("@")
    return f"mailto:{quote(local, safe=_IN_LOCAL_PARTS)}@{quote(domain, safe='-.')}"


def _status(content: Content, method: Method) -> CalendarStatus:
    if method == "CANCEL":
        return "CANCELLED"
    return "TENTATIVE" if content.tentative else "CONFIRMED"


def folded(line: str) -> bytes:
    """The line folded into rows of at most 75 octets, none of which ends within a character."""
    content = line.encode()
    if len(content) <= LONGEST_ROW:
        return content
    rows: list[bytes] = []
    start, room = 0, LONGEST_ROW
    while len(content) - start > room:
        end = start + room
        while content[end] & 0xC0 == 0x80:  # a character goes on here
            end -= 1
        rows.append(content[start:end])
        start, room = end, LONGEST_ROW - 1  # each further row begins with a space, which counts as well
    return b"\r\n ".join([*rows, content[start:]])


def instant_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def text_value(value: str) -> str:
    """A TEXT (RFC 5545, 3.3.11). The library would read a backslash before an N in a name as a line break."""
    text = _FORBIDDEN.sub("", value)
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _name(name: str) -> str:
    """The parameter CN. Its value must not have quotes or control characters. A caret is doubled where RFC 6868 would read it as
    an escape."""
    shown = _CARETS.sub("^^", _CONTROLS.sub("", name).replace('"', "'"))
    return f';CN="{shown}"' if shown else ""
