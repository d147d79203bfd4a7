"""What the handlers and routers of an availability process share."""

from __future__ import annotations

from dataclasses import dataclass, field

from makegood_chassis.clock import Clock
from makegood_chassis.database import Database

from makegood_availability.store.schedules import ScheduleCache
from makegood_availability.store.venues import VenueCache


@dataclass(frozen=True, slots=True)
class Dependencies:
    database: Database
    clock: Clock
    schedules: ScheduleCache = field(default_factory=ScheduleCache)
    venues: VenueCache = field(default_factory=VenueCache)
