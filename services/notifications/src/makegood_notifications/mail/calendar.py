"""Calendar messages (RFC 5545, RFC 5546) of a session (RESC-4)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parseaddr

from icalendar import Calendar, Event, vCalAddress, vText

from makegood_notifications.domain.facts import Facts
from makegood_notifications.domain.invitations import Method, uid

PRODUCT = "-//Makegood//Makegood//EN"


def calendar_message(
    facts: Facts,
    *,
    method: Method,
    sequence: int,
    summary: str,
    organiser: str,
    attendee: tuple[str, str],
    link: str,
    made_at: datetime,
) -> bytes:
    """One `VCALENDAR` as bytes. Times are instants in UTC, so every calendar shows them right wherever it is opened.

    `attendee` is (name, address); `made_at` becomes DTSTAMP, the same at each repetition of the same message.
    """
    organiser_name, organiser_address = parseaddr(organiser)
    event = Event()
    event.add("uid", uid(facts.session_id))
    event.add("dtstamp", made_at.astimezone(UTC))
    event.add("dtstart", facts.starts_at.astimezone(UTC))
    event.add("dtend", facts.ends_at.astimezone(UTC))
    event.add("sequence", sequence)
    event.add("status", "CANCELLED" if method == "CANCEL" else "CONFIRMED")
    event.add("summary", summary)
    event.add("organizer", _address(organiser_name, organiser_address))
    event.add("attendee", _address(*attendee, partstat="ACCEPTED", role="REQ-PARTICIPANT"))
    event.add("url", link)
    event.add("class", "PRIVATE")
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(event)
    text: bytes = calendar.to_ical()
    return text


def _address(name: str, address: str, **parameters: str) -> vCalAddress:
    who = vCalAddress(f"mailto:{address}")
    if name:
        who.params["cn"] = vText(name)
    for parameter, value in parameters.items():
        who.params[parameter] = vText(value)
    return who
