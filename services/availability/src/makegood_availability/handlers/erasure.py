"""PersonErased: an erased person no longer offers or waits for anything, and what they wrote is erased (NOTE-5)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_chassis.states.erasure import erase_states
from makegood_contracts.envelope import Received
from makegood_contracts.events import PersonErased, ScheduleWithdrawn

from makegood_availability.dependencies import Dependencies
from makegood_availability.handlers.waitlist import leave
from makegood_availability.store import schedules, waitlist


async def on_person_erased(
    batch: Sequence[Received[PersonErased]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Time off, holds and rows of the access log stay, without texts. Booking ends the sessions."""
    people = {received.event.person_id: received.cause for received in batch}
    await schedules.erase_notes(unit, list(people))
    await erase_remarks(unit, list(people))
    await erase_states(unit, list(people))
    waiting = await waitlist.open_of_people(unit, people)
    # All waitlists at once, in a fixed order. Those of the erased providers change too.
    await waitlist.lock_waitlists(unit, people.keys() | {entry.provider_id for entry in waiting})
    for provider_id, version, sequence in await schedules.withdraw(unit, list(people)):
        withdrawn = ScheduleWithdrawn(provider_id=provider_id, schedule_version=version)
        unit.publish(withdrawn, sequence=sequence, cause=people[provider_id])
    waiting = await waitlist.open_of_people(unit, people)
    if waiting:
        causes = {entry.provider_id: people.get(entry.member_id) or people[entry.provider_id] for entry in waiting}
        await leave(unit, dependencies, waiting, causes, "erased")
