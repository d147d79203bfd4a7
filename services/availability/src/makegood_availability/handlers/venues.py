"""Tells the other services of venues: messages name them (NOTE-1)."""

from __future__ import annotations

from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.repeating import repeat
from makegood_chassis.service import Service
from makegood_contracts.envelope import Cause
from makegood_contracts.events import VenuePublished

from makegood_availability.store import venues
from makegood_availability.store.venues import VenueRow

_AT_ONCE: Final = 200
_EVERY: Final = 60.0


def tell(venue: VenueRow, unit: UnitOfWork) -> None:
    """Publishes the venue as it stands. Its row is locked, or new."""
    published = VenuePublished(
        venue_id=venue.id,
        venue_version=venue.version,
        name=venue.name,
        place=venue.place,
        time_zone=venue.time_zone,
    )
    unit.publish(published, sequence=venue.version)


async def tell_untold(service: Service) -> int:
    """Publishes venues that an older version made, which told nobody; how many there were."""
    async with service.database.transaction(Cause.begin()) as unit:
        untold = await venues.take_untold(unit, _AT_ONCE)
        for venue in untold:
            tell(venue, unit)
    return len(untold)


async def keep_told(service: Service) -> None:
    """A worker that does so at its start and every minute: while versions are changed, an old one may still write."""

    async def job() -> bool:
        return await tell_untold(service) == _AT_ONCE

    await repeat(job, _EVERY)
