"""`availability.venues.v1`: venues for in-person sessions."""

from __future__ import annotations

from typing import ClassVar

from makegood_contracts.events.base import Classification, Event
from makegood_contracts.topics import VENUES, Topic


class VenuePublished(Event, frozen=True, kw_only=True):
    """A venue was published or changed; this event replaces earlier ones. Messages show its name and place (NOTE-1)."""

    topic: ClassVar[Topic] = VENUES
    classification: ClassVar[Classification] = "internal"

    venue_id: str
    venue_version: int
    name: str
    place: str | None = None
    """The address in one line, such as street and town."""
    time_zone: str


class VenueCodeChanged(Event, frozen=True, kw_only=True):
    """The venue has a new check-in code (JOIN-3). The code itself is not published."""

    topic: ClassVar[Topic] = VENUES
    classification: ClassVar[Classification] = "internal"

    venue_id: str
    venue_version: int
    code_digest: str
    """The digest, computed by `makegood_contracts.check_in.digest`."""
