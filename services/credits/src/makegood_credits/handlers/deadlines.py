"""The kinds of deadline in credits, and when they are set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from makegood_chassis.database import UnitOfWork

HOLD_LAPSE: Final = "hold-lapse"
"""When holds lapse (AVAIL-4). One deadline serves all holds of a minute, so that a hold needs no row of its own. A hold
lapses at most a minute after its `hold_until`.
"""

MEMBER: Final = "member"
"""When a member's next credits arrive or lapse (PLAN-1, CRED-2). One deadline per member."""

MOVE_LAPSE: Final = "move-lapse"
"""When what was added for a move lapses (AVAIL-4). One deadline per move."""

INVOICE_OVERDUE: Final = "invoice-overdue"
"""When an unpaid charge becomes overdue (CRED-7). One deadline per invoice."""

_MINUTE: Final = 60


def lapse_bucket(hold_until: datetime) -> datetime:
    """The full minute at or after the moment."""
    return datetime.fromtimestamp(-(-hold_until.timestamp() // _MINUTE) * _MINUTE, UTC)


def set_lapse(unit: UnitOfWork, moment: datetime) -> None:
    """Sets the deadline for the holds that lapse by that full minute."""
    unit.set_deadline(HOLD_LAPSE, moment.isoformat(), moment)


def lapse_minute(entity_id: str) -> datetime:
    """The minute that a deadline of `set_lapse` is about. Its `due_at` may be later, because a failed attempt postpones
    it.
    """
    return datetime.fromisoformat(entity_id)


def set_due(unit: UnitOfWork, member: str, before: datetime | None, after: datetime | None) -> None:
    """Moves the member's deadline to the moment that the book now names.

    A deadline that is already due is left alone. The worker that handles it holds its row, waits for the account that
    is locked here, and then sets it again.
    """
    if before != after and (before is None or before > unit.now):
        unit.set_deadline(MEMBER, member, after)
