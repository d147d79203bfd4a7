"""What happens as time passes: the next period's credits arrive, and unspent credits lapse."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due

from makegood_credits.domain.enrolling import catch_up
from makegood_credits.handlers.deadlines import MEMBER
from makegood_credits.handlers.ledger import ledger


async def on_member_due(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """Grants the next period's credits and lets unspent ones lapse (PLAN-1, CRED-2)."""
    async with ledger(unit, (due.entity_id for due in batch)) as books:
        for book in books.values():
            catch_up(book, unit.now)
    for member, book in books.items():
        unit.set_deadline(MEMBER, member, book.next_due)
