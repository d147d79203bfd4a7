"""PersonErased: who is erased offers nothing and waits for nothing any more (NOTE-5), and what they wrote goes with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import PersonErased, ScheduleWithdrawn

from makegood_availability.handlers.waitlist import Line
from makegood_availability.store import schedules, waitlist


def erases(line: Line) -> Callable[[Sequence[Received[PersonErased]], UnitOfWork], Awaitable[None]]:
    """The handler of erasures. Time off, holds and rows of the access log stay, without words; booking ends the sessions."""

    async def handle(batch: Sequence[Received[PersonErased]], unit: UnitOfWork) -> None:
        people = {received.event.person_id: received.cause for received in batch}
        await schedules.erase_notes(unit, list(people))
        await erase_remarks(unit, list(people))
        waiting = await waitlist.open_of_people(unit, people)
        # All lines at once, in their order; those of the erased are changed themselves.
        await waitlist.lock_lines(unit, people.keys() | {entry.provider_id for entry in waiting})
        for provider_id, version, sequence in await schedules.withdraw(unit, list(people)):
            withdrawn = ScheduleWithdrawn(provider_id=provider_id, schedule_version=version)
            unit.publish(withdrawn, sequence=sequence, cause=people[provider_id])
        waiting = await waitlist.open_of_people(unit, people)
        if waiting:
            causes = {entry.provider_id: people.get(entry.member_id) or people[entry.provider_id] for entry in waiting}
            await line.leave(waiting, unit, causes, "erased")

    return handle
