"""Addresses in the client app that messages lead to. Client apps answer these paths (setting CLIENT_APP_URL)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from urllib.parse import urlencode

from makegood_notifications.domain.facts import Facts


def _rebook(facts: Facts) -> str:
    again = {"rebook": facts.session_id} if facts.session_id else {}
    # The length that was booked: what an extension added is in nobody's plan (EXT-1).
    return _book(facts, facts.length_minutes - facts.extended_minutes, again)


def _slot(facts: Facts) -> str:
    start = facts.starts_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _book(facts, facts.length_minutes, {"starts_at": start})


def _book(facts: Facts, length_minutes: int, what: dict[str, str]) -> str:
    """Where a session of the kind that the facts name is booked, in person at the same venue."""
    query: dict[str, Any] = {"length_minutes": length_minutes, "modality": facts.modality, **what}
    if facts.venue_id:
        query["venue_id"] = facts.venue_id
    return f"rooms/{facts.room_id}/book?{urlencode(query)}"


PATHS: Final[dict[str, Callable[[Facts], str]]] = {
    "session": lambda facts: f"sessions/{facts.session_id}",
    "rebook": _rebook,
    "slot": _slot,
    "room": lambda facts: f"rooms/{facts.room_id}",
    "invoices": lambda facts: "invoices",
    "purchases": lambda facts: "purchases",
    "contact": lambda facts: "contact",
    "confirm": lambda facts: "contact/confirm",
}
"""What a template's `link` names, and the path it leads to."""


@dataclass(frozen=True, slots=True)
class Links:
    """`start` is the client app's address without a slash at its end."""

    start: str

    def to(self, what: str, facts: Facts) -> str:
        """The whole address of one of PATHS."""
        return f"{self.start}/{PATHS[what](facts)}"

    def rebook(self, facts: Facts) -> str:
        """Book again with the same room, length and modality (MISS-3, MISS-4)."""
        return self.to("rebook", facts)

    def session(self, facts: Facts) -> str:
        """The session's own page, where it is joined."""
        return self.to("session", facts)
