"""`availability.venues.v1`: places for sessions in person."""

from __future__ import annotations

from typing import ClassVar

from makegood_contracts.events.base import Classification, Event
from makegood_contracts.topics import VENUES, Topic


class VenuePublished(Event, frozen=True, kw_only=True):
    """The venue as it stands now; it replaces what was said before. Messages tell people its name and place (NOTE-1)."""

    topic: ClassVar[Topic] = VENUES
    classification: ClassVar[Classification] = "internal"

    venue_id: str
    venue_version: int
    name: str
    place: str | None = None
    """Where it is, in one line, such as a street and a town."""
    time_zone: str


class VenueCodeChanged(Event, frozen=True, kw_only=True):
    """The venue shows another code from now on, by which people check in (JOIN-3). The code itself is told to nobody."""

    topic: ClassVar[Topic] = VENUES
    classification: ClassVar[Classification] = "internal"

    venue_id: str
    venue_version: int
    code_digest: str
    """As `makegood_contracts.check_in` makes it."""
