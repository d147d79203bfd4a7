"""Withdraws invitations at addresses that no CANCEL reached, because they changed or the CANCEL was left out (RESC-4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.ids import new_id

from makegood_notifications.domain.deliveries import WITHDRAWN

_ELSEWHERE: Final = """
SELECT DISTINCT ON (told.id, lower(earlier.invited)) told.id, earlier.id, earlier.invited
FROM unnest($1::uuid[], $2::text[]) AS told (id, address)
JOIN deliveries AS cancel ON cancel.id = told.id
JOIN deliveries AS earlier ON earlier.session_id = cancel.session_id AND earlier.person_id = cancel.person_id
    AND earlier.invited IS NOT NULL AND lower(earlier.invited) <> lower(told.address)
ORDER BY told.id, lower(earlier.invited), earlier.id
"""
# The withdrawn invitation is the event, so that each address gets a message: an event has one message per kind and
# person.
_QUEUE: Final = """
INSERT INTO deliveries (id, event_id, person_id, channel, template, status, session_id, facts, correlation_id, traceparent,
                        occurred_at, recipient)
SELECT new.id, new.invitation, person_id, channel, $5, 'queued', session_id, facts, correlation_id, traceparent,
       occurred_at, new.address
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) AS new (id, cancel, invitation, address)
JOIN deliveries ON deliveries.id = new.cancel
ON CONFLICT (event_id, person_id, channel, template) DO NOTHING
"""


async def follow(unit: UnitOfWork, told: Sequence[tuple[str, str]]) -> bool:
    """Queues a bare CANCEL for every other address that was invited to the session. `told`: (delivery of a CANCEL, the address that
    it reached, empty if none). Returns whether there was any."""
    rows = await unit.fetch(_ELSEWHERE, [one[0] for one in told], [one[1] for one in told])
    if rows:
        ids = [new_id() for _ in rows]
        await unit.execute(_QUEUE, ids, *[list(values) for values in zip(*rows, strict=True)], WITHDRAWN)
    return bool(rows)
