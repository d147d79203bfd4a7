"""Reserved sessions keep their slot until they end; every ending gives it back (CANC-3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import ReleaseCause, SessionReserved, SlotReleased

from makegood_availability.domain.believing import MOVED_LATELY, Claim, claim_of, contradiction, disbelieved
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
            told: dict[str, Received[Any]] = {}
            for received in batch:
                if (why := contradiction(received.event, unit.now)) is not None:
                    unit.refuse(received.id, why)
                else:
                    told[received.event.session_id] = received
            causes = _causes(list(told.values()))
            released = await holds.release(unit, [claim_of(r.event, unit.now) for r in told.values()], cause)
            if len(released) < len(causes):
                held = {slot.session_id for slot in released}
                released += await self._others([told[session] for session in told if session not in held], cause, unit)
            for slot in released:
                publish_released(slot, cause, causes[slot.session_id], unit)
            await self._line.opened(released, causes, unit)

        return handle

    async def _others(
        self, batch: Sequence[Received[Any]], cause: ReleaseCause, unit: UnitOfWork
    ) -> Sequence[Released]:
        """Those that ended no hold: most have none, or none any more. Of a hold that stands it cannot be true (SEC-7), unless
        it was moved before booking heard of it: then the ending gives back what is held, wherever it stands."""
        events = [received.event for received in batch]
        without = [Ended(e.session_id, e.provider_id, e.member_id, e.starts_at, e.ends_at) for e in events]
        new = await holds.remember_ended(unit, without, cause)
        known = {received.event.session_id: received for received in batch if received.event.session_id not in new}
        if not known:
            return []
        standing = await holds.live(unit, sorted(known), unit.now - MOVED_LATELY)
        claims: list[Claim] = []
        for hold in standing:
            received = known[hold.session_id]
            why = disbelieved(received.event, hold, unit.now, moved_lately=hold.moved)
            if why is not None:
                unit.refuse(received.id, why)
            else:
                claims.append(Claim(hold.session_id, hold.provider_id, hold.member_id, None, None))
        return await holds.release(unit, claims, cause) if claims else []


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
