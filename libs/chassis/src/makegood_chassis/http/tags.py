"""The chapters of the API's documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TAGS: Final[Mapping[str, str]] = {
    "sessions": "A session from request to end: book, confirm, move, extend, cancel, join, correct.",
    "rooms": "Where a member and a provider meet, and whether something can be booked there.",
    "policies": "The numbers and the text that sessions are booked under.",
    "schedules": "When a provider works, and when not.",
    "slots": "What can be booked, and whether a time would do.",
    "venues": "Places for sessions in person.",
    "waitlist": "Members who wait for a time, and what they are offered.",
    "plans": "What members are covered by, and what is sold.",
    "credits": "What a member may book with, and every movement of it.",
    "adjustments": "Credits given or taken by support; large ones need a second person.",
    "invoices": "Charges, and paying them.",
    "purchases": "Single credits that members buy.",
    "web-hooks": "What payment providers tell. Signed by them, without an access token.",
    "contact": "How a person is reached.",
    "in-app messages": "Messages for one person alone.",
    "personal data": "What is held about a person, and erasing it.",
    "sign-in": "Ending a person's access before the tokens do.",
    "chat": "Messages in a room.",
    "reminders": "Reminding a member now.",
    "calendar": "Sessions for calendar programs.",
    "deliveries": "What became of each message.",
    "stream": "What happens, live.",
    "access log": "Who saw or changed whose data, when and why.",
}
"""Description by name, in the order of `/docs`. A route has exactly one of them."""
