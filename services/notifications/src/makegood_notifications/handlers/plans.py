"""What this service must know about plans, schedules and venues: lengths for the ready message, channels of reminders,
names. These handlers send no messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import EnrolmentEnded, MemberEnrolled, SchedulePublished, VenuePublished

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.store import plans, venues
from makegood_notifications.store.read_models import each_key_once


async def on_member_enrolled(
    batch: Sequence[Received[MemberEnrolled]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Saves enrolments, and wakes requests that came before the event about the member's plan."""
    await plans.follow_enrolments(unit, [received.event for received in batch])
    keys = {f"plan:{received.event.member_id}": True for received in batch}
    unit.after_commit(lambda: dependencies.signals.send(keys))


async def on_enrolment_ended(batch: Sequence[Received[EnrolmentEnded]], unit: UnitOfWork) -> None:
    await plans.end_enrolments(unit, [received.event for received in batch])


async def on_schedule_published(batch: Sequence[Received[SchedulePublished]], unit: UnitOfWork) -> None:
    """Saves the provider's specialty."""
    await plans.follow_specialties(unit, [received.event for received in batch])


async def on_venue_published(batch: Sequence[Received[VenuePublished]], unit: UnitOfWork) -> None:
    """Saves the latest version of each venue, because messages contain its name and place (NOTE-1)."""
    for part in each_key_once(batch):
        await venues.follow(unit, [received.event for received in part])
