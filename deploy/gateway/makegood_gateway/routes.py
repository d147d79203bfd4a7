"""Which service owns which path, and which paths need no token.

The first match wins, so specific routes come before general ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SERVICES: Final = ("booking", "availability", "credits", "notifications")

Match = Literal["exact", "below", "pattern"]


@dataclass(frozen=True, slots=True)
class Route:
    """A line of the routing table.

    `match`: `exact` is the path alone, `below` the path and everything under it, `pattern` an RE2 pattern for the
    whole path. `public`: needs no token, and is rate-limited by address instead of by person. `streaming`: the
    answer may last forever. `waits`: changes honour `Prefer: wait`. `secret`: the path itself is a secret, and is kept out
    of logs and traces. `document`: is the same for everyone, and compressed.
    """

    service: str
    match: Match
    path: str
    public: bool = False
    streaming: bool = False
    waits: bool = False
    secret: bool = False
    document: bool = False

    @property
    def name(self) -> str:
        """Its name in the access log and statistics."""
        return f"{self.service}:{self.path}"

    def cluster(self, waiting: bool = False) -> str:
        """The cluster for its requests. Long-lasting requests have separate connections, so that they do not block others."""
        if self.streaming:
            return f"{self.service}-streams"
        return f"{self.service}-waiting" if waiting else self.service


_ID: Final = "[^/]+"
CALENDARS: Final = "/v1/calendar"
UNSUBSCRIBE: Final = "/v1/unsubscribe"
UNLOGGED: Final = (CALENDARS, UNSUBSCRIBE)
"""Paths below these are secret: they open a person's calendar or end their e-mails."""

ROUTES: Final[tuple[Route, ...]] = (
    *(Route(service, "exact", f"/v1/{service}/openapi.json", public=True, document=True) for service in SERVICES),
    # Paths below rooms and sessions that belong to another service.
    Route("notifications", "pattern", f"/v1/rooms/{_ID}/(?:messages|time-request)(?:/.*)?"),
    Route("availability", "pattern", f"/v1/rooms/{_ID}/waitlist(?:/.*)?"),
    Route("notifications", "pattern", f"/v1/sessions/{_ID}/(?:reminders(?:/.*)?|calendar\\.ics)"),
    Route("booking", "below", "/v1/sessions", waits=True),
    Route("booking", "below", "/v1/rooms"),
    Route("booking", "below", "/v1/policies"),
    # The video room checks join links; the link is the proof.
    Route("booking", "exact", "/v1/join-links/verify", public=True),
    Route("availability", "below", "/v1/providers"),
    Route("availability", "below", "/v1/venues"),
    Route("credits", "below", "/v1/members"),
    Route("credits", "below", "/v1/plans"),
    Route("credits", "below", "/v1/purchases"),
    Route("credits", "below", "/v1/invoices"),
    # The payment provider signs its calls.
    Route("credits", "exact", "/v1/webhooks/payments", public=True),
    # The page of the development payment provider. In production, credits answers 404.
    Route("credits", "below", "/dev/checkouts", public=True),
    Route("notifications", "exact", "/v1/stream", streaming=True),
    Route("notifications", "below", "/v1/people"),
    # Calendar programs send no token; the address is the secret.
    Route("notifications", "below", CALENDARS, public=True, secret=True),
    # Mail programs send no token; the link in the e-mail is signed.
    Route("notifications", "below", UNSUBSCRIBE, public=True, secret=True),
    Route("notifications", "below", "/v1/deliveries"),
    # Each service's development clock.
    *(Route(service, "below", f"/v1/{service}") for service in SERVICES),
)
