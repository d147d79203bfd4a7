"""Who may do what here (table of rights)."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http.access_log import OPERATION as ACCESS_OPERATION
from makegood_chassis.http.access_log import RIGHTS as ACCESS_RIGHTS
from makegood_chassis.http.rights import Grant, Rights

PERSON: Final = (Grant("member", "self"), Grant("provider", "self"))
PARTIES: Final = (Grant("member", "party"), Grant("provider", "party"))

EXPENSIVE: Final = frozenset({"person.export", ACCESS_OPERATION, "/v1/calendar/{secret}.ics"})
"""What is worked on for one person at a time; a path where no token is asked for."""

RIGHTS: Final[Rights] = {
    "contact.read": PERSON,
    "contact.write": PERSON,
    "message.read": PARTIES,
    "message.write": PARTIES,
    "delivery.list": (Grant("support"), *PERSON),
    "stream.follow": PERSON,
    "inbox.read": PERSON,
    "time.request": (Grant("member", "party"),),
    "reminder.send": (Grant("provider", "party"),),
    "calendar.read": PARTIES,
    "calendar.follow": PERSON,
    "person.export": PERSON,
    "person.erase": (Grant("support"), *PERSON),
    "erasure.read": (Grant("support"), *PERSON),
    "person.revoke": (Grant("ops"),),
    "person.revocations": (Grant("ops"),),
    **ACCESS_RIGHTS,
}
"""Support reads deliveries, never chat; contacts, exports and calendars are the person's alone."""
