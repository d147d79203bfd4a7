"""A hold that is never settled lapses by itself (AVAIL-4).

The holds of a batch that end within one second share a deadline: under load that is a row a batch, not a row a hold. Firm
holds leave it alone; it comes, finds nothing and is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due

from makegood_availability.domain.holds import Wish, lapses
from makegood_availability.handlers.endings import publish_released
from makegood_availability.handlers.waitlist import Line
from makegood_availability.store import holds

LAPSE: Final = "hold-lapse"
_SECOND = timedelta(seconds=1)


def plan_lapses(held: Iterable[Wish], unit: UnitOfWork) -> None:
    """One deadline for each second in which holds of the batch lapse.

    Named after the second, which stays when a failed try moves the deadline, and after a hold of the batch, so that
    workers do not wait for each other's row.
    """
    first: dict[datetime, str] = {}
    for wish in held:
        first.setdefault(lapses(wish.hold_until), wish.session_id)
    for moment, session_id in first.items():
        unit.set_deadline(LAPSE, f"{moment.isoformat()}/{session_id}", moment)


class Lapses:
    """Ends holds that nobody settled."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def lapsed(self, due: Sequence[Due], unit: UnitOfWork) -> None:
        """Takes back the holds of these seconds that nobody made firm, and says so. AVAIL-4"""
        moments = {datetime.fromisoformat(deadline.entity_id.partition("/")[0]) for deadline in due}
        released = await holds.lapse(unit, [(moment - _SECOND, moment) for moment in sorted(moments)])
        for slot in released:
            publish_released(slot, "lapsed", unit.cause, unit)
        await self._line.opened(released, {}, unit)
