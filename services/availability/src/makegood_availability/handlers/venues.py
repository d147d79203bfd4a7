"""Publishes venues, because the other services' messages name them (NOTE-1)."""

from __future__ import annotations

from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.repeating import repeat
from makegood_chassis.service import Service
from makegood_contracts.envelope import Cause
from makegood_contracts.events import VenuePublished

from makegood_availability.store import venues
from makegood_availability.store.venues import VenueRow

_AT_ONCE: Final = 200
_EVERY: Final = 60.0


def publish_venue(unit: UnitOfWork, venue: VenueRow) -> None:
    """Publishes the venue as it is. Its row must be locked or new."""
    published = VenuePublished(
        venue_id=venue.id,
        venue_version=venue.version,
        name=venue.name,
        place=venue.place,
        time_zone=venue.time_zone,
    )
    unit.publish(published, sequence=venue.version)


async def publish_unpublished(service: Service[Any]) -> int:
    """Publishes venues that an older version made without publishing them. Returns how many there were."""
    async with service.database.transaction(Cause.begin()) as unit:
        unpublished = await venues.take_unpublished(unit, _AT_ONCE)
        for venue in unpublished:
            publish_venue(unit, venue)
    return len(unpublished)


async def keep_published(service: Service[Any]) -> None:
    """The worker that publishes them, at its start and every minute, because an old version may still write during an
    upgrade.
    """

    async def job() -> bool:
        return await publish_unpublished(service) == _AT_ONCE

    await repeat(job, _EVERY, name="publish-venues")
