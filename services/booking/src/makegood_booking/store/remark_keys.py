"""The public halves of people's keys, as notifications published them. A remark for the message to the other party is
encrypted with them, so that booking itself cannot read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.letters import Letter, seal_letter
from makegood_chassis.statements import Statement, any_of, batch
from makegood_contracts.envelope import Received
from makegood_contracts.events import RemarkKeyPublished, SessionCancelled
from sqlalchemy import delete, select

from makegood_booking.store.tables import remark_keys, upsert

_KEEP: Final = upsert(remark_keys, "sequence", rows=select(batch("new", remark_keys.c)))
_FIND: Final = Statement("SELECT public_key FROM remark_keys WHERE person_id = :person_id")
_ERASE: Final = Statement(delete(remark_keys).where(any_of(remark_keys.c.person_id)))


async def keep(unit: UnitOfWork, published: Sequence[Received[RemarkKeyPublished]]) -> None:
    """Saves the newest key of each person."""
    newest = {one.event.person_id: one for one in sorted(published, key=lambda one: one.sequence)}
    await unit.execute(
        _KEEP(
            person_id=list(newest),
            public_key=[one.event.public_key for one in newest.values()],
            sequence=[one.sequence for one in newest.values()],
        )
    )


async def seal_remark(queries: Queries, session_id: str, author: str, remark: str) -> str | None:
    """The remark, encrypted for the message to the other party. None as long as its author's key is unknown."""
    public_key = await queries.fetch_value(_FIND(person_id=author))
    if public_key is None:
        return None
    return seal_letter(public_key, Letter(SessionCancelled.__name__, session_id, author), remark)


async def erase(unit: UnitOfWork, people: Sequence[str]) -> None:
    await unit.execute(_ERASE(person_id=list(people)))
