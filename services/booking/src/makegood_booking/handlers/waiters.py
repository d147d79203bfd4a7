"""Wakes requests that wait for what comes over topics: a booking decided, a credit settled, a move."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.signals import Signals

from makegood_booking.domain.session import Session


def decided_key(session_id: str) -> str:
    return f"decided:{session_id}"


def settled_key(session_id: str) -> str:
    return f"settled:{session_id}"


def moved_key(session_id: str) -> str:
    return f"moved:{session_id}"


def decided(session: Session) -> bool:
    """Whether a booking has its outcome."""
    return session.status != "requested"


def settled(session: Session) -> bool:
    """Whether a session that ended has all of its consequences that booking hears of."""
    return session.over and session.credit_settled


def wake_waiters(before: Sequence[Session], after: Sequence[Session], signals: Signals, unit: UnitOfWork) -> None:
    """After the commit, wakes those who wait for what has just come about."""
    values: dict[str, Session] = {}
    for was, now in zip(before, after, strict=True):
        if decided(now) and not decided(was):
            values[decided_key(now.id)] = now
        if settled(now) and not settled(was):
            values[settled_key(now.id)] = now
        if was.move_pending and not now.move_pending:
            values[moved_key(now.id)] = now
    if values:
        unit.after_commit(lambda: signals.send(values))
