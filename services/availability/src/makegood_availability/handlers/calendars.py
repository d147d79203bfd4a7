"""What the providers and venues of a batch have published, read once per batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from makegood_calendar.slot_rules import Venue
from makegood_chassis.database import UnitOfWork

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import Calendar
from makegood_availability.store.schedules import Published


@dataclass(frozen=True, slots=True)
class Calendars:
    """What providers have published, by provider, and venues by id."""

    published: Mapping[str, Published]
    venues: Mapping[str, Venue]

    def of(self, provider_id: str, venue_id: str | None) -> Calendar:
        """The calendars for a session with this provider and, in person, at this venue."""
        published, venue = self.published.get(provider_id), self.venues.get(venue_id or "")
        return (
            Calendar(None, (), venue) if published is None else Calendar(published.schedule, published.time_off, venue)
        )


async def load_calendars(
    unit: UnitOfWork,
    dependencies: Dependencies,
    provider_ids: Collection[str],
    venue_ids: Collection[str | None],
) -> Calendars:
    """These providers' schedules and time off, locked until the unit ends, and these venues."""
    return Calendars(
        await dependencies.schedules.keep(unit, provider_ids),
        await load_venues(unit, dependencies, venue_ids),
    )


async def load_venues(
    unit: UnitOfWork, dependencies: Dependencies, venue_ids: Collection[str | None]
) -> Mapping[str, Venue]:
    """These venues. Costs nothing if there are none."""
    return await dependencies.venues.load(unit, [venue_id for venue_id in venue_ids if venue_id is not None])
