"""The sections of the API documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TAGS: Final[Mapping[str, str]] = {
    "sessions": "A session from request to end: book, confirm, move, extend, cancel, join, correct.",
    "rooms": "Where a member and a provider meet, and whether a session can be booked there.",
    "policies": "The policy that sessions are booked under: its numbers and its text.",
    "schedules": "When a provider works, and when not.",
    "slots": "The times that can be booked, and whether a given time is free.",
    "venues": "Places for in-person sessions.",
    "waitlist": "Members who wait for a time, and the offers they get.",
    "plans": "What covers members, and what is for sale.",
    "credits": "What members book with, and every movement of it.",
    "adjustments": "Credits that support gives or takes. Large ones need a second person.",
    "invoices": "Charges, and how to pay them.",
    "purchases": "Single credits that members buy.",
    "webhooks": "Events from payment providers, which sign them. No access token is needed.",
    "contact": "How to reach a person.",
    "in-app messages": "Messages for one person.",
    "personal data": "Export or erase what is stored about a person.",
    "sign-in": "End a person's access before their tokens expire.",
    "chat": "Messages in a room.",
    "reminders": "Remind a member now.",
    "calendar": "Sessions for calendar programs.",
    "deliveries": "What happened to each message.",
    "stream": "Live events.",
    "access log": "Who saw or changed whose data, when and why.",
}
"""Description by name, in the order of `/docs`. A route has exactly one of them."""
