"""PersonErased: an erased member gets no more credits (NOTE-5), and what support wrote about them is erased.

The ledger keeps only ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_chassis.states.erasure import erase_states
from makegood_contracts.envelope import Received
from makegood_contracts.events import PersonErased
from makegood_plans.coverage import local_day

from makegood_credits.domain.enrolling import end_coverage
from makegood_credits.handlers.commands import publish_ended
from makegood_credits.handlers.ledger import ledger
from makegood_credits.store import books as book_store
from makegood_credits.store import personal_data


async def on_person_erased(batch: Sequence[Received[PersonErased]], unit: UnitOfWork) -> None:
    """Ends the coverage of erased members with the day. Unspent credits lapse then."""
    people = [received.event.person_id for received in batch]
    async with ledger(unit, people) as books:
        for book in books.values():
            await book_store.add_lots_of_plans(unit, book)
            for ended in end_coverage(book, unit.now):
                publish_ended(unit, book, [ended], local_day(unit.now, ended.time_zone))
    await personal_data.erase(unit, people)
    await erase_remarks(unit, people)
    await erase_states(unit, people)
