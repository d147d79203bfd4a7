"""SessionMoveFunded, SessionExtensionRequested → SlotMoved | SlotMoveRefused, each answered exactly once (RESC-1, RESC-2, EXT-1)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import SessionExtensionRequested, SessionMoveFunded, SlotMoved, SlotMoveRefused
from makegood_contracts.reasons import Reason

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import SLOT_TAKEN, Calendar, SlotRequest, in_order, slot_fields
from makegood_availability.domain.moves import (
    NO_HOLD,
    SlotHold,
    Target,
    extension_refusals,
    extension_target,
    move_refusals,
    move_target,
)
from makegood_availability.domain.plausibility import same_parties
from makegood_availability.handlers.calendars import load_calendars, load_venues
from makegood_availability.handlers.offers import move_into_offer
from makegood_availability.handlers.waitlist import pass_on_moved
from makegood_availability.store import holds, moves

MoveEvent = TypeVar("MoveEvent", SessionMoveFunded, SessionExtensionRequested)
Judge = Callable[[MoveEvent, SlotHold], tuple[Target, Sequence[Reason]]]
"""Where the hold is to go, and why it may not, whoever else is there."""


async def on_session_move_funded(
    batch: Sequence[Received[SessionMoveFunded]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Swaps the old slot for the new one in one step, or leaves everything as it was (RESC-1)."""
    events = [received.event for received in batch]
    venue_ids = {event.new_venue_id for event in events}
    calendars = await load_calendars(unit, dependencies, {event.provider_id for event in events}, venue_ids)

    def judge(event: SessionMoveFunded, hold: SlotHold) -> tuple[Target, Sequence[Reason]]:
        calendar = calendars.of(event.provider_id, event.new_venue_id)
        return move_target(calendar, event), move_refusals(calendar, event, unit.now)

    await _decide(unit, dependencies, batch, judge, venue_ids)


async def on_session_extension_requested(
    batch: Sequence[Received[SessionExtensionRequested]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Extends the session if nobody else has the time after it (EXT-1)."""
    venues = await load_venues(unit, dependencies, {received.event.venue_id for received in batch})

    def judge(event: SessionExtensionRequested, hold: SlotHold) -> tuple[Target, Sequence[Reason]]:
        calendar = Calendar(None, (), venues.get(hold.venue_id or ""))
        return extension_target(hold, event), extension_refusals(calendar, hold, event, unit.now)

    await _decide(unit, dependencies, batch, judge, ())


async def _decide(
    unit: UnitOfWork,
    dependencies: Dependencies,
    batch: Sequence[Received[MoveEvent]],
    judge: Judge[MoveEvent],
    venue_ids: Collection[str | None],
) -> None:
    """Moves holds one after another, in the topic's order."""
    by_move: dict[str, Received[MoveEvent]] = {}
    for received in batch:
        by_move.setdefault(received.event.move_id, received)
    fresh = await moves.claim(unit, {move: received.event.session_id for move, received in by_move.items()})
    asked = [received for move, received in by_move.items() if move in fresh]
    if not asked:
        return
    current = await moves.lock(unit, {received.event.session_id for received in asked})
    await moves.take_turns(unit, current.values(), [venue_id for venue_id in venue_ids if venue_id is not None])
    moved: list[SlotHold] = []
    causes: dict[str, Cause] = {}
    for received in asked:
        event, hold = received.event, current.get(received.event.session_id)
        if hold is not None and not same_parties(event, hold):
            unit.refuse(received.id, "not-its-parties")
            continue
        if hold is None or not hold.live:
            await _refuse(unit, event, hold, [NO_HOLD], received.cause)
            continue
        target, refusals = judge(event, hold)
        reasons = await _move(unit, event.move_id, hold, target, refusals, received.cause)
        if reasons:
            await _refuse(unit, event, hold, reasons, received.cause)
            continue
        moved.append(hold)
        causes[hold.provider_id] = received.cause
        current[event.session_id] = replace(
            hold,
            starts_at=target.starts_at,
            ends_at=target.ends_at,
            venue_id=target.venue_id,
            blocked=target.blocked,
        )
    if moved:
        await pass_on_moved(unit, dependencies, moved, causes)


async def _move(
    unit: UnitOfWork, move_id: str, hold: SlotHold, target: Target, refusals: Sequence[Reason], cause: Cause
) -> Sequence[Reason]:
    """Moves the hold and publishes that. Otherwise returns every reason why not."""
    if any(reason.code == "temporary-interruption" for reason in refusals):
        return refusals
    request = _slot_request(hold, target, unit.now)
    in_the_way = (await holds.conflicts(unit, [request], moving=True))[hold.session_id]
    assert in_the_way is not None
    reasons = in_order([*refusals, *in_the_way.reasons])
    if reasons:
        return reasons
    if in_the_way.own_offer:
        sequence = await move_into_offer(unit, request, target, cause)
    else:
        sequence = await moves.move(unit, hold.session_id, target)
    if sequence is None:
        return [SLOT_TAKEN]  # by somebody who was a moment faster
    unit.publish(_slot_moved(move_id, hold, request), sequence=sequence, cause=cause)
    return ()


async def _refuse(
    unit: UnitOfWork, event: MoveEvent, hold: SlotHold | None, reasons: Sequence[Reason], cause: Cause
) -> None:
    sequence = await moves.stay(unit, event.session_id)
    refused = SlotMoveRefused(
        **slot_fields(event if hold is None else hold), move_id=event.move_id, reasons=list(reasons)
    )
    unit.publish(refused, sequence=sequence, cause=cause)


def _slot_request(hold: SlotHold, target: Target, now: datetime) -> SlotRequest:
    return SlotRequest(
        session_id=hold.session_id,
        provider_id=hold.provider_id,
        member_id=hold.member_id,
        venue_id=target.venue_id,
        starts_at=target.starts_at,
        ends_at=target.ends_at,
        blocked=target.blocked,
        hold_until=now,
    )


def _slot_moved(move_id: str, hold: SlotHold, request: SlotRequest) -> SlotMoved:
    return SlotMoved(
        **slot_fields(request),
        move_id=move_id,
        old_starts_at=hold.starts_at,
        old_ends_at=hold.ends_at,
        old_venue_id=hold.venue_id,
        blocked_from=request.blocked_from,
        blocked_until=request.blocked_until,
    )
