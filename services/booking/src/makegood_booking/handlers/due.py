"""What happens to sessions by itself: the moments that nobody triggers (MISS-1, CONF-2, JOIN-2, NOSH-1)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import DeadlineHandlers, Due
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Cause

from makegood_booking.domain.attendance import next_due, time_passed
from makegood_booking.domain.session import Transition
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store.sessions import DEADLINE, Sessions


def deadline_handlers(sessions: Sessions, signals: Signals) -> DeadlineHandlers:
    """Deadline kind → handler."""

    async def handle(due: Sequence[Due], unit: UnitOfWork) -> None:
        before = await sessions.lock_many(sorted({deadline.entity_id for deadline in due}), unit)
        changes: list[tuple[Transition, Cause]] = []
        after = []
        for session in before.values():
            changed = time_passed(session, unit.now)
            after.append(changed.session)
            if changed.events:
                changes.append((changed, Cause.begin()))
            else:  # somebody was faster, or the clock went back: wait for what is next
                unit.set_deadline(DEADLINE, session.id, next_due(changed.session))
        await sessions.save(changes, unit)
        wake_waiters(list(before.values()), after, signals, unit)

    return {DEADLINE: handle}
