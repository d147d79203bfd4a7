"""SessionRequested → SlotHeld | SlotRefused: one hold a session, or every reason why not (BOOK-1, AVAIL-2, AVAIL-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import Schedule, Venue
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import SessionRequested, SlotHeld, SlotRefused
from makegood_contracts.reasons import Reason

from makegood_availability.domain.holds import (
    HELD_SEQUENCE,
    SLOT_TAKEN,
    Wish,
    first_come,
    in_order,
    wish_of,
    withheld,
)
from makegood_availability.handlers.lapses import plan_lapses
from makegood_availability.handlers.waitlist import Line
from makegood_availability.store import holds
from makegood_availability.store.schedules import Schedules, load_time_off
from makegood_availability.store.venues import Venues

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the providers and venues of a batch."""

    schedules: Mapping[str, Schedule]
    time_off: Mapping[str, Sequence[Span]]
    venues: Mapping[str, Venue]


class Requests:
    """Answers requests for slots."""

    def __init__(self, schedules: Schedules, venues: Venues, line: Line) -> None:
        self._schedules = schedules
        self._venues = venues
        self._line = line

    async def requested(self, batch: Sequence[Received[SessionRequested]], unit: UnitOfWork) -> None:
        """Holds what the schedules offer and nobody else has; of two in each other's way, the earlier in the batch wins."""
        asked = {received.event.session_id: received for received in batch}
        known = await self._load([received.event for received in asked.values()], unit)
        wishes: dict[str, Wish] = {}
        refusals: dict[str, Sequence[Reason]] = {}
        for received in asked.values():
            request = received.event
            schedule = known.schedules.get(request.provider_id)
            wishes[request.session_id] = wish_of(request, schedule)
            reasons = withheld(
                request,
                schedule,
                known.time_off.get(request.provider_id, ()),
                known.venues.get(request.venue_id) if request.venue_id is not None else None,
                unit.now,
            )
            if reasons:
                refusals[request.session_id] = reasons
        held = await self._hold([wish for wish in wishes.values() if wish.session_id not in refusals], unit)
        others = [wish for wish in wishes.values() if wish.session_id not in held]
        conflicts = await holds.conflicts(unit, others) if others else {}
        for wish in others:
            # What the member was offered is in nobody's way but the others' (AVAIL-6).
            found = conflicts[wish.session_id]
            offered = found is not None and found.own_offer and not found.reasons and wish.session_id not in refusals
            if offered and await self._line.take_offer(wish, unit):
                held.add(wish.session_id)
        for received in asked.values():
            request = received.event
            if request.session_id in held:
                unit.publish(
                    _held(request, wishes[request.session_id].blocked), sequence=HELD_SEQUENCE, cause=received.cause
                )
                continue
            in_the_way = conflicts[request.session_id]
            if in_the_way is None:
                _log.info("request of a session that is known already", session_id=request.session_id)
                continue
            # What was in the way when the hold was tried may have gone since.
            reasons = in_order([*refusals.get(request.session_id, ()), *in_the_way.reasons]) or [SLOT_TAKEN]
            unit.publish(_refused(request, reasons), sequence=HELD_SEQUENCE, cause=received.cause)
        plan_lapses([wishes[session_id] for session_id in held], unit)

    async def _load(self, requests: Sequence[SessionRequested], unit: UnitOfWork) -> _Known:
        providers = list({request.provider_id for request in requests})
        venue_ids = {request.venue_id for request in requests if request.venue_id is not None}
        first = min(request.starts_at for request in requests)
        last = max(request.ends_at for request in requests)
        return _Known(
            await self._schedules.load(unit, providers, to_go_by=True),
            await load_time_off(unit, providers, first, last),
            await self._venues.load(unit, venue_ids) if venue_ids else {},
        )

    async def _hold(self, wishes: Sequence[Wish], unit: UnitOfWork) -> set[str]:
        first, later = first_come(wishes)
        # One order for all workers, see the statement; the later ones keep their turns.
        held = await holds.hold(unit, sorted(first, key=lambda wish: (wish.provider_id, wish.starts_at)))
        return held | await holds.hold(unit, later)


def _held(request: SessionRequested, blocked: Span) -> SlotHeld:
    return SlotHeld(
        session_id=request.session_id,
        provider_id=request.provider_id,
        member_id=request.member_id,
        venue_id=request.venue_id,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        hold_until=request.hold_until,
        blocked_from=blocked[0],
        blocked_until=blocked[1],
    )


def _refused(request: SessionRequested, reasons: list[Reason]) -> SlotRefused:
    return SlotRefused(
        session_id=request.session_id,
        provider_id=request.provider_id,
        member_id=request.member_id,
        venue_id=request.venue_id,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        reasons=reasons,
    )
