"""Follows venues, whose names and places messages tell (NOTE-1)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import VenuePublished

from makegood_notifications.handlers.sessions import rounds
from makegood_notifications.store import venues


async def published(batch: Sequence[Received[VenuePublished]], unit: UnitOfWork) -> None:
    """Keeps the latest version of each venue."""
    for part in rounds(batch):
        await venues.follow(unit, [received.event for received in part])
