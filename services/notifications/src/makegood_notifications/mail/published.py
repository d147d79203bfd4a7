"""Calendar feeds: sessions as they are now, in one VCALENDAR without a METHOD (RFC 5545, RFC 7986).

UID and SEQUENCE are those of the invitations, so that a program that knows both shows one appointment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from makegood_notifications.domain.invitations import CalendarStatus, uid
from makegood_notifications.mail.calendar import PRODUCT, described, folded, instant_text, text_value
from makegood_notifications.mail.texts import AppointmentText


@dataclass(frozen=True, slots=True)
class Appointment:
    """A session as a calendar shows it."""

    session_id: str
    starts_at: datetime
    ends_at: datetime
    sequence: int
    calendar_status: CalendarStatus
    text: AppointmentText


def published(appointments: Iterable[Appointment], *, made_at: datetime, name: str | None = None) -> bytes:
    """The calendar. A feed has a `name`, and is read again each hour. `made_at` becomes DTSTAMP."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "CALSCALE:GREGORIAN"]
    if name is not None:
        lines += [f"NAME:{text_value(name)}", f"X-WR-CALNAME:{text_value(name)}"]
        lines += ["REFRESH-INTERVAL;VALUE=DURATION:PT1H", "X-PUBLISHED-TTL:PT1H"]
    for one in appointments:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{uid(one.session_id)}",
            f"DTSTAMP:{instant_text(made_at)}",
            f"DTSTART:{instant_text(one.starts_at)}",
            f"DTEND:{instant_text(one.ends_at)}",
            f"SEQUENCE:{one.sequence}",
            f"STATUS:{one.calendar_status}",
            *described(one.text),
            f"TRANSP:{'TRANSPARENT' if one.calendar_status == 'CANCELLED' else 'OPAQUE'}",
            "CLASS:PRIVATE",
            "END:VEVENT",
        ]
    return b"\r\n".join([*(folded(line) for line in lines), b"END:VCALENDAR", b""])
