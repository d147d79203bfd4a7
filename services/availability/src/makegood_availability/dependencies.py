"""What the routers and handlers of the service share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database

from makegood_availability.handlers.waitlist import Line
from makegood_availability.store.schedules import Schedules
from makegood_availability.store.venues import Venues


@dataclass(frozen=True)
class Dependencies:
    """Made by `bootstrap`."""

    database: Database
    clock: Clock
    schedules: Schedules = field(default_factory=Schedules)
    venues: Venues = field(default_factory=Venues)

    @cached_property
    def line(self) -> Line:
        """The waitlist."""
        return Line(self.schedules, self.venues)
