"""SessionMoveFunded, SessionExtensionRequested → SlotMoved | SlotMoveRefused, each answered exactly once (RESC-1, RESC-2, EXT-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import Schedule, Venue
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import SessionExtensionRequested, SessionMoveFunded, SlotMoved, SlotMoveRefused
from makegood_contracts.reasons import Reason

from makegood_availability.domain.believing import of_its_parties
from makegood_availability.domain.holds import SLOT_TAKEN, Wish, in_order
from makegood_availability.domain.moves import (
    NO_HOLD,
    Standing,
    Target,
    extended_to,
    extension_withheld,
    move_withheld,
    moved_to,
)
from makegood_availability.handlers.waitlist import Line
from makegood_availability.store import holds, moves
from makegood_availability.store.schedules import Schedules, load_time_off
from makegood_availability.store.venues import Venues

Asked = TypeVar("Asked", SessionMoveFunded, SessionExtensionRequested)
Judge = Callable[[Asked, Standing], tuple[Target, Sequence[Reason]]]
"""Where the hold is to go, and why it may not, whoever else is there."""


class Moves:
    """Moves holds, one after the other in the order of their topic, each in one step."""

    def __init__(self, schedules: Schedules, venues: Venues, line: Line) -> None:
        self._schedules = schedules
        self._venues = venues
        self._line = line

    async def funded(self, batch: Sequence[Received[SessionMoveFunded]], unit: UnitOfWork) -> None:
        """The old slot and the new one change hands in one step, or everything stays as it was. RESC-1"""
        events = [received.event for received in batch]
        providers = {event.provider_id for event in events}
        known = await self._schedules.load(unit, providers, to_go_by=True)
        first, last = min(event.new_starts_at for event in events), max(event.new_ends_at for event in events)
        time_off = await load_time_off(unit, providers, first, last)
        venues = await self._load_venues({event.new_venue_id for event in events}, unit)

        def judge(event: SessionMoveFunded, hold: Standing) -> tuple[Target, Sequence[Reason]]:
            schedule: Schedule | None = known.get(event.provider_id)
            venue = venues.get(event.new_venue_id or "")
            off: Sequence[Span] = time_off.get(event.provider_id, ())
            return moved_to(event, schedule), move_withheld(event, schedule, off, venue, unit.now)

        await self._decide(batch, judge, {event.new_venue_id for event in events}, unit)

    async def extended(self, batch: Sequence[Received[SessionExtensionRequested]], unit: UnitOfWork) -> None:
        """The session goes on, if nobody else has the time after it. EXT-1"""
        venues = await self._load_venues({received.event.venue_id for received in batch}, unit)

        def judge(event: SessionExtensionRequested, hold: Standing) -> tuple[Target, Sequence[Reason]]:
            venue = venues.get(hold.venue_id or "")
            return extended_to(event, hold), extension_withheld(event, hold, venue, unit.now)

        await self._decide(batch, judge, (), unit)

    async def _load_venues(self, venue_ids: set[str | None], unit: UnitOfWork) -> Mapping[str, Venue]:
        named = [venue_id for venue_id in venue_ids if venue_id is not None]
        return await self._venues.load(unit, named) if named else {}

    async def _decide(
        self,
        batch: Sequence[Received[Asked]],
        judge: Judge[Asked],
        venue_ids: set[str | None] | tuple[()],
        unit: UnitOfWork,
    ) -> None:
        by_move: dict[str, Received[Asked]] = {}
        for received in batch:
            by_move.setdefault(received.event.move_id, received)
        fresh = await moves.claim(unit, {move: received.event.session_id for move, received in by_move.items()})
        asked = [received for move, received in by_move.items() if move in fresh]
        if not asked:
            return
        standing = await moves.load(unit, {received.event.session_id for received in asked})
        named = [venue_id for venue_id in venue_ids if venue_id is not None]
        await moves.take_turns(unit, standing.values(), named)
        left: list[Standing] = []
        causes: dict[str, Cause] = {}
        for received in asked:
            event = received.event
            hold = standing.get(event.session_id)
            if hold is not None and not of_its_parties(event, hold):
                unit.refuse(received.id, "not-its-parties")
                continue
            if hold is None or not hold.live:
                await self._refuse(event, hold, [NO_HOLD], received.cause, unit)
                continue
            target, withheld = judge(event, hold)
            reasons = await self._move(event.move_id, hold, target, withheld, received.cause, unit)
            if reasons:
                await self._refuse(event, hold, reasons, received.cause, unit)
                continue
            left.append(hold)
            causes[hold.provider_id] = received.cause
            standing[event.session_id] = _at(hold, target)
        if left:
            await self._line.left(left, causes, unit)

    async def _move(
        self, move_id: str, hold: Standing, target: Target, withheld: Sequence[Reason], cause: Cause, unit: UnitOfWork
    ) -> Sequence[Reason]:
        """Moves the hold and tells it, or answers every reason why not."""
        if any(reason.code == "temporary-interruption" for reason in withheld):
            return withheld
        wish = _wish(hold, target, unit.now)
        in_the_way = (await holds.conflicts(unit, [wish], standing=True))[hold.session_id]
        assert in_the_way is not None
        reasons = in_order([*withheld, *in_the_way.reasons])
        if reasons:
            return reasons
        if in_the_way.own_offer:
            sequence = await self._line.move_into_offer(wish, target, cause, unit)
        else:
            sequence = await moves.move(unit, hold.session_id, target)
        if sequence is None:
            return [SLOT_TAKEN]  # by somebody who was a moment faster
        unit.publish(_moved(move_id, hold, target), sequence=sequence, cause=cause)
        return ()

    async def _refuse(
        self, event: Asked, hold: Standing | None, reasons: Sequence[Reason], cause: Cause, unit: UnitOfWork
    ) -> None:
        sequence = await moves.stay(unit, event.session_id)
        unit.publish(_refused(event, hold, reasons), sequence=sequence, cause=cause)


def _wish(hold: Standing, target: Target, now: datetime) -> Wish:
    return Wish(
        hold.session_id,
        hold.provider_id,
        hold.member_id,
        target.venue_id,
        target.starts_at,
        target.ends_at,
        target.blocked,
        now,
    )


def _at(hold: Standing, target: Target) -> Standing:
    return Standing(
        hold.session_id,
        hold.provider_id,
        hold.member_id,
        target.venue_id,
        target.starts_at,
        target.ends_at,
        target.blocked,
        True,
    )


def _moved(move_id: str, hold: Standing, target: Target) -> SlotMoved:
    return SlotMoved(
        session_id=hold.session_id,
        provider_id=hold.provider_id,
        member_id=hold.member_id,
        venue_id=target.venue_id,
        starts_at=target.starts_at,
        ends_at=target.ends_at,
        move_id=move_id,
        old_starts_at=hold.starts_at,
        old_ends_at=hold.ends_at,
        old_venue_id=hold.venue_id,
        blocked_from=target.blocked[0],
        blocked_until=target.blocked[1],
    )


def _refused(
    event: SessionMoveFunded | SessionExtensionRequested, hold: Standing | None, reasons: Sequence[Reason]
) -> SlotMoveRefused:
    stands = event if hold is None else hold
    return SlotMoveRefused(
        session_id=event.session_id,
        provider_id=event.provider_id,
        member_id=event.member_id,
        venue_id=stands.venue_id,
        starts_at=stands.starts_at,
        ends_at=stands.ends_at,
        move_id=event.move_id,
        reasons=list(reasons),
    )
