"""Wakes requests that wait for an event: a decided booking, a settled credit, a move, a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.signals import Signals

from makegood_booking.domain.session import Session


@dataclass(frozen=True, slots=True)
class Milestone:
    """A state of a session that requests wait for."""

    name: str
    reached: Callable[[Session], bool]

    def key(self, session_id: str) -> str:
        """The signal that wakes the requests that wait for it."""
        return f"{self.name}:{session_id}"


DECIDED: Final = Milestone("decided", lambda session: session.status != "requested")
"""A booking has its outcome."""
SETTLED: Final = Milestone("settled", lambda session: session.over and session.credit_settled)
"""A session has ended, and booking knows what became of its credit."""
MOVED: Final = Milestone("moved", lambda session: not session.move_pending)
"""No change of time is being decided."""


def schedule_key(provider_id: str) -> str:
    """The signal that wakes the requests that wait for the provider's first schedule (ROOM-1)."""
    return f"schedule:{provider_id}"


def wake_waiters(unit: UnitOfWork, signals: Signals, before: Sequence[Session], after: Sequence[Session]) -> None:
    """After the commit, wakes the requests that wait for a milestone that has just been reached."""
    values = {
        milestone.key(now.id): now
        for was, now in zip(before, after, strict=True)
        for milestone in (DECIDED, SETTLED, MOVED)
        if milestone.reached(now) and not milestone.reached(was)
    }
    if values:
        unit.after_commit(lambda: signals.send(values))
