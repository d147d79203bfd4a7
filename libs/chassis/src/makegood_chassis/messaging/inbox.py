"""The inbox: which events a service has handled, so that no event takes effect twice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from makegood_contracts.envelope import Received

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging import tables
from makegood_chassis.pruning import older

_REDRIVE: Final = """
INSERT INTO inbox (event_id, redrive) SELECT * FROM unnest($1::uuid[], $2::integer[])
ON CONFLICT (event_id) DO UPDATE
SET state = 'done', redrive = greatest(excluded.redrive, inbox.redrive), handled_at = clock_timestamp()
WHERE inbox.state = 'dead'
RETURNING event_id
"""
_MARK_DEAD_UNLESS_HANDLED: Final = """
INSERT INTO inbox (event_id, state, redrive) VALUES ($1::uuid, 'dead', $2)
ON CONFLICT (event_id) DO UPDATE SET redrive = excluded.redrive, handled_at = clock_timestamp()
WHERE inbox.state = 'dead' AND excluded.redrive > inbox.redrive
RETURNING event_id
"""
_MARK_DEAD: Final = "UPDATE inbox SET state = 'dead' WHERE event_id = ANY($1::uuid[])"
_MADE_BEFORE: Final = """
(lpad(to_hex((extract(epoch FROM statement_timestamp() - $1::interval) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
"""
"""The lowest id that an event of that moment can have: ids begin with when they were made."""
PRUNE: Final = older("inbox", "handled_at", f"state = 'done' AND event_id < {_MADE_BEFORE}")
"""Dead letters are kept. An event is made before it is handled, so the old rows are at the beginning of the primary key."""


async def claim(received: Sequence[Received[Any]], unit: UnitOfWork) -> Sequence[Received[Any]]:
    """The events that were not handled before, in order. They count as handled once `unit` commits.

    A dead letter that was put back (`redrive` above 0) counts as new as long as it is dead, whatever its number is.
    Numbers are not signed, and a forged high one must not keep the operator's from counting.
    """
    first: dict[str, Received[Any]] = {}
    for one in received:
        known = first.get(one.id)
        if known is None or one.redrive > known.redrive:
            first[one.id] = one
    plain = [one.id for one in first.values() if not one.redrive]
    again = [(one.id, one.redrive) for one in first.values() if one.redrive]
    taken: set[str] = set()
    if plain:
        rows = await unit.fetch(tables.note_handled(plain))
        if len(rows) == len(received):
            return received
        taken.update(str(row[0]) for row in rows)
    if again:
        again.sort()
        rows = await unit.fetch(_REDRIVE, [pair[0] for pair in again], [pair[1] for pair in again])
        taken.update(str(row[0]) for row in rows)
    return [one for one in first.values() if _canonical(one.id) in taken]


def _canonical(event_id: str) -> str:
    return event_id if len(event_id) == 36 and event_id.islower() else str(uuid.UUID(event_id))


async def mark_dead_unless_handled(event_id: str, redrive: int, unit: UnitOfWork) -> bool:
    """Marks the event as a dead letter. Returns False if it was handled or dead-lettered before."""
    return bool(await unit.fetch(_MARK_DEAD_UNLESS_HANDLED, event_id, redrive))


async def mark_dead(event_ids: Sequence[str], unit: UnitOfWork) -> None:
    """Marks events that `unit` has claimed as dead letters."""
    await unit.execute(_MARK_DEAD, event_ids)
