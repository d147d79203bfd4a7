"""PersonErased: what support wrote about a member goes with the person; the ledger keeps ids alone."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import PersonErased

from makegood_credits.store import personal_data


async def on_person_erased(batch: Sequence[Received[PersonErased]], unit: UnitOfWork) -> None:
    people = [received.event.person_id for received in batch]
    await personal_data.erase(unit, people)
    await erase_remarks(unit, people)
