"""Which service owns which path (the table of the interface), and who may call it without a token.

The first route that matches wins, so the narrow ones of a path shared by services stand before the wide one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SERVICES: Final = ("booking", "availability", "credits", "notifications")

Match = Literal["exact", "below", "pattern"]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the routing table.

    `match`: `exact` is the path alone, `below` the path and everything under it, `pattern` an RE2 pattern for the
    whole path. `public`: needs no token, and is rate-limited by address instead of by person. `streaming`: the
    answer may last for ever. `waits`: changes there honour `Prefer: wait`. `secret`: the path itself is a secret, and
    stands in no log and no trace. `document`: is the same for everybody, and compressed.
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
        """What the access log and the statistics call it."""
        return f"{self.service}:{self.path}"

    def cluster(self, waiting: bool = False) -> str:
        """Where its requests go. What lasts long has connections of its own, so that it never takes those of the rest."""
        if self.streaming:
            return f"{self.service}-streams"
        return f"{self.service}-waiting" if waiting else self.service


_ID: Final = "[^/]+"
CALENDARS: Final = "/v1/calendar"
UNSUBSCRIBE: Final = "/v1/unsubscribe"
UNLOGGED: Final = (CALENDARS, UNSUBSCRIBE)
"""What lies below is secret: addresses that open somebody's calendar, or end their e-mails."""

ROUTES: Final[tuple[Route, ...]] = (
    *(Route(service, "exact", f"/v1/{service}/openapi.json", public=True, document=True) for service in SERVICES),
    # Paths that another service owns below rooms and sessions.
    Route("notifications", "pattern", f"/v1/rooms/{_ID}/(?:messages|time-request)(?:/.*)?"),
    Route("availability", "pattern", f"/v1/rooms/{_ID}/waitlist(?:/.*)?"),
    Route("notifications", "pattern", f"/v1/sessions/{_ID}/(?:reminders(?:/.*)?|calendar\\.ics)"),
    Route("booking", "below", "/v1/sessions", waits=True),
    Route("booking", "below", "/v1/rooms"),
    Route("booking", "below", "/v1/policies"),
    # The video room asks whether a join link opens its session; the link is the proof.
    Route("booking", "exact", "/v1/join-links/verify", public=True),
    Route("availability", "below", "/v1/providers"),
    Route("availability", "below", "/v1/venues"),
    Route("credits", "below", "/v1/members"),
    Route("credits", "below", "/v1/plans"),
    Route("credits", "below", "/v1/purchases"),
    Route("credits", "below", "/v1/invoices"),
    # The payment provider signs its calls itself.
    Route("credits", "exact", "/v1/webhooks/payments", public=True),
    # The page of the payment provider that development has; in production there is none, and credits answers 404.
    Route("credits", "below", "/dev/checkouts", public=True),
    Route("notifications", "exact", "/v1/stream", streaming=True),
    Route("notifications", "below", "/v1/people"),
    # Calendar programs bring no token: whoever knows the address may follow.
    Route("notifications", "below", CALENDARS, public=True, secret=True),
    # Mail programs bring no token either: the link in the e-mail is signed.
    Route("notifications", "below", UNSUBSCRIBE, public=True, secret=True),
    Route("notifications", "below", "/v1/deliveries"),
    # What a service has for itself: the development clock.
    *(Route(service, "below", f"/v1/{service}") for service in SERVICES),
)
