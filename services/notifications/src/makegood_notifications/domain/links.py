"""Addresses in the client app that messages lead to. Client apps answer these paths (setting CLIENT_APP_URL)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from makegood_notifications.domain.facts import Facts


@dataclass(frozen=True, slots=True)
class Links:
    """`start` is the client app's address without a slash at its end."""

    start: str

    def rebook(self, facts: Facts) -> str:
        """Book again with the same room, length and modality (MISS-3, MISS-4)."""
        query = {"length_minutes": facts.length_minutes, "modality": facts.modality, "rebook": facts.session_id}
        if facts.venue_id:
            query["venue_id"] = facts.venue_id
        return f"{self.start}/rooms/{facts.room_id}/book?{urlencode(query)}"

    def session(self, facts: Facts) -> str:
        """The session's own page, where it is joined."""
        return f"{self.start}/sessions/{facts.session_id}"
