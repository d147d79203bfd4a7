"""What the providers and venues of a batch have published, read once per batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import Schedule, Venue
from makegood_chassis.database import UnitOfWork

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import Calendar
from makegood_availability.store.schedules import load_time_off


@dataclass(frozen=True, slots=True)
class Calendars:
    """Schedules and time off by provider, venues by id."""

    schedules: Mapping[str, Schedule]
    time_off: Mapping[str, Sequence[Span]]
    venues: Mapping[str, Venue]

    def of(self, provider_id: str, venue_id: str | None) -> Calendar:
        """The calendars for a session with this provider and, in person, at this venue."""
        return Calendar(
            self.schedules.get(provider_id), self.time_off.get(provider_id, ()), self.venues.get(venue_id or "")
        )


async def load_calendars(
    unit: UnitOfWork,
    dependencies: Dependencies,
    provider_ids: Collection[str],
    venue_ids: Collection[str | None],
    within: Span,
) -> Calendars:
    """These providers' schedules and time off `within` a time, locked until the unit ends, and these venues."""
    return Calendars(
        await dependencies.schedules.load(unit, provider_ids, keep=True),
        await load_time_off(unit, provider_ids, *within),
        await load_venues(unit, dependencies, venue_ids),
    )


async def load_venues(
    unit: UnitOfWork, dependencies: Dependencies, venue_ids: Collection[str | None]
) -> Mapping[str, Venue]:
    """These venues. Costs nothing if there are none."""
    return await dependencies.venues.load(unit, [venue_id for venue_id in venue_ids if venue_id is not None])


def outline(spans: Collection[tuple[datetime, datetime]]) -> Span:
    """From the first start to the last end."""
    return min(start for start, _ in spans), max(end for _, end in spans)
