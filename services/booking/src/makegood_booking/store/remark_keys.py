"""The public halves of people's keys, as notifications published them: what a party wants the other one to read of its
cancellation is sealed with them, and booking itself cannot open it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.letters import Letter, seal_letter
from makegood_contracts.envelope import Received
from makegood_contracts.events import RemarkKeyPublished, SessionCancelled

_KEEP: Final = """
INSERT INTO remark_keys AS known (person_id, public_key, sequence)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (person_id) DO UPDATE SET public_key = excluded.public_key, sequence = excluded.sequence
WHERE known.sequence < excluded.sequence
"""
_FIND: Final = "SELECT public_key FROM remark_keys WHERE person_id = $1"
_ERASE: Final = "DELETE FROM remark_keys WHERE person_id = ANY($1::text[])"


async def keep(unit: UnitOfWork, published: Sequence[Received[RemarkKeyPublished]]) -> None:
    """Keeps the newest key of each person."""
    newest = {one.event.person_id: one for one in sorted(published, key=lambda one: one.sequence)}
    keys = [one.event.public_key for one in newest.values()]
    await unit.execute(_KEEP, list(newest), keys, [one.sequence for one in newest.values()])


async def seal_remark(queries: Queries, session_id: str, author: str, remark: str) -> str | None:
    """The remark, sealed for the message to the other party; None as long as no key of its author is known."""
    public_key = await queries.fetch_value(_FIND, author)
    if public_key is None:
        return None
    return seal_letter(public_key, Letter(SessionCancelled.__name__, session_id, author), remark)


async def erase(unit: UnitOfWork, people: Sequence[str]) -> None:
    await unit.execute(_ERASE, list(people))
