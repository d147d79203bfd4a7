"""The addresses in the client app that messages link to. Client apps serve these paths (setting CLIENT_APP_URL)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from urllib.parse import urlencode

from makegood_notifications.domain.notices import Content


def _rebook(content: Content) -> str:
    again = {"rebook": content.session_id} if content.session_id else {}
    # The booked length: no plan includes what an extension added (EXT-1).
    return _book(content, content.length_minutes - content.extended_minutes, again)


def _slot(content: Content) -> str:
    start = content.starts_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _book(content, content.length_minutes, {"starts_at": start})


def _book(content: Content, length_minutes: int, what: dict[str, str]) -> str:
    """The page where a session of the notice's kind is booked. If it is in person, at the same venue."""
    query: dict[str, Any] = {"length_minutes": length_minutes, "modality": content.modality, **what}
    if content.venue_id:
        query["venue_id"] = content.venue_id
    return f"rooms/{content.room_id}/book?{urlencode(query)}"


PATHS: Final[dict[str, Callable[[Content], str]]] = {
    "session": lambda content: f"sessions/{content.session_id}",
    "rebook": _rebook,
    "slot": _slot,
    "room": lambda content: f"rooms/{content.room_id}",
    "invoices": lambda content: "invoices",
    "purchases": lambda content: "purchases",
    "contact": lambda content: "contact",
    "confirm": lambda content: "contact/confirm",
}
"""A template's `link` → the path that it leads to."""


@dataclass(frozen=True, slots=True)
class Links:
    """`start` is the client app's address without a slash at its end."""

    start: str

    def to(self, what: str, content: Content) -> str:
        """The whole address of one of PATHS."""
        return f"{self.start}/{PATHS[what](content)}"

    def rebook(self, content: Content) -> str:
        """Book again with the same room, length and modality (MISS-3, MISS-4)."""
        return self.to("rebook", content)

    def session(self, content: Content) -> str:
        """The session's own page, where it is joined."""
        return self.to("session", content)
