"""Reserved sessions keep their slot until they end; every ending gives it back (CANC-3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import ReleaseCause, SessionReserved, SlotReleased

from makegood_availability.domain.holds import reopened
from makegood_availability.handlers.waitlist import Line
from makegood_availability.store import holds
from makegood_availability.store.holds import Ended, Released


class Endings:
    """Settles holds, and passes what opens to those who wait."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def reserved(self, batch: Sequence[Received[SessionReserved]], unit: UnitOfWork) -> None:
        """The holds become firm: they lapse no more. AVAIL-4"""
        took_offers = await holds.make_firm(unit, [received.event.session_id for received in batch])
        if took_offers:
            await self._line.booked(took_offers, _causes(batch), unit)

    def ended(self, cause: ReleaseCause) -> Callable[[Sequence[Received[Any]], UnitOfWork], Awaitable[None]]:
        """The handler of one kind of ending."""

        async def handle(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
            causes = _causes(batch)
            released = await holds.release(unit, list(causes), cause)
            for slot in released:
                publish_released(slot, cause, causes[slot.session_id], unit)
            if len(released) < len(causes):
                held = {slot.session_id for slot in released}
                events = (received.event for received in batch if received.event.session_id not in held)
                without = [Ended(e.session_id, e.provider_id, e.member_id, e.starts_at, e.ends_at) for e in events]
                await holds.remember_ended(unit, without, cause)
            await self._line.opened(released, causes, unit)

        return handle


def _causes(batch: Sequence[Received[Any]]) -> dict[str, Cause]:
    return {received.event.session_id: received.cause for received in batch}


def publish_released(slot: Released, cause: ReleaseCause, event_cause: Cause, unit: UnitOfWork) -> None:
    """Tells that the slot is free again, if it is still ahead."""
    unit.publish(
        SlotReleased(
            session_id=slot.session_id,
            provider_id=slot.provider_id,
            member_id=slot.member_id,
            venue_id=slot.venue_id,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            cause=cause,
            reopened=reopened(slot.ends_at, unit.now),
        ),
        sequence=slot.sequence,
        cause=event_cause,
    )
