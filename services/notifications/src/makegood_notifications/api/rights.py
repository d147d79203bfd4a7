"""Who may do what: the rows of the table of rights."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http import access_log
from makegood_chassis.http.rights import Grant, Rights

PERSON: Final = (Grant("member", "self"), Grant("provider", "self"))
PARTIES: Final = (Grant("member", "party"), Grant("provider", "party"))

EXPENSIVE: Final = frozenset({"person.export", access_log.OPERATION, "/v1/calendar/{secret}.ics"})
"""Operations that each person may run one at a time. One given by its path needs no token."""

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
    **access_log.RIGHTS,
}
"""Support may read deliveries but never chat. Only the person may read their contact details, export and calendar."""
