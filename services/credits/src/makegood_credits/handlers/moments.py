"""Deadlines: holds that lapse, and members whose next credits come or go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due

from makegood_credits.domain.enrolling import catch_up
from makegood_credits.domain.settling import Ending
from makegood_credits.handlers.due import MEMBER, lapse_minute, set_lapse
from makegood_credits.handlers.endings import EndedSession, settle_all
from makegood_credits.handlers.facts import publish_entries
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store

MOST_LAPSES: Final = 500
"""Holds that lapse in one transaction; more wait for the next one."""


async def on_lapse(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """AVAIL-4: gives back what is held for sessions that were never reserved."""
    minutes = [lapse_minute(due.entity_id) for due in batch]
    lapsed = await hold_store.lapsed(unit, minutes, MOST_LAPSES)
    ended = [
        EndedSession(session, member, Ending("returned", "lapsed", unit.now, caused_by="nobody"), unit.cause)
        for session, member in lapsed.items()
    ]
    await settle_all(unit, ended, still=lambda hold: not hold.firm)
    if len(lapsed) == MOST_LAPSES:
        for minute in minutes:
            set_lapse(unit, minute)


async def on_member_due(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """PLAN-1, CRED-2: the next period's credits arrive by themselves, and what is unspent lapses."""
    books = await book_store.load(unit, (due.entity_id for due in batch))
    for book in books.values():
        catch_up(book, unit.now)
        publish_entries(unit, book, book.entries, unit.cause)
    await book_store.save(unit, books.values())
    for member, book in books.items():
        unit.set_deadline(MEMBER, member, book.next_due)
