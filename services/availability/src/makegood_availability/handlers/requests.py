"""SessionRequested → SlotHeld | SlotRefused: one hold per session, or every reason why not (BOOK-1, AVAIL-2, AVAIL-3)."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Received
from makegood_contracts.events import SessionRequested, SlotHeld, SlotRefused
from makegood_contracts.reasons import Reason

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import (
    FIRST_SEQUENCE,
    SLOT_TAKEN,
    SlotRequest,
    first_come,
    in_order,
    request_refusals,
    slot_fields,
    slot_request,
)
from makegood_availability.handlers.calendars import load_calendars
from makegood_availability.handlers.endings import plan_lapses
from makegood_availability.handlers.offers import take_offer
from makegood_availability.store import holds

_log = structlog.get_logger(__name__)


async def on_session_requested(
    batch: Sequence[Received[SessionRequested]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Holds slots that the schedules offer and nobody else has. If two overlap, the earlier one in the batch wins."""
    asked = {received.event.session_id: received for received in batch}
    events = [received.event for received in asked.values()]
    calendars = await load_calendars(
        unit,
        dependencies,
        list({event.provider_id for event in events}),
        {event.venue_id for event in events},
    )
    requests: dict[str, SlotRequest] = {}
    refusals: dict[str, Sequence[Reason]] = {}
    for event in events:
        calendar = calendars.of(event.provider_id, event.venue_id)
        requests[event.session_id] = slot_request(calendar, event)
        if reasons := request_refusals(calendar, event, unit.now):
            refusals[event.session_id] = reasons
    held = await _hold(unit, [request for request in requests.values() if request.session_id not in refusals])
    others = [request for request in requests.values() if request.session_id not in held]
    conflicts = await holds.conflicts(unit, others) if others else {}
    for request in others:
        # An offer to this member conflicts only with others' requests (AVAIL-6).
        found = conflicts[request.session_id]
        is_offered = found is not None and found.own_offer and not found.reasons
        if is_offered and request.session_id not in refusals and await take_offer(unit, request):
            held.add(request.session_id)
    for session_id, received in asked.items():
        if session_id in held:
            unit.publish(_slot_held(requests[session_id]), sequence=FIRST_SEQUENCE, cause=received.cause)
            continue
        in_the_way = conflicts[session_id]
        if in_the_way is None:
            _log.info("session requested again", session_id=session_id)
            continue
        # The conflict may be gone by now.
        why = in_order([*refusals.get(session_id, ()), *in_the_way.reasons]) or [SLOT_TAKEN]
        refused = SlotRefused(**slot_fields(received.event), reasons=why)
        unit.publish(refused, sequence=FIRST_SEQUENCE, cause=received.cause)
    plan_lapses(unit, [requests[session_id] for session_id in held])


async def _hold(unit: UnitOfWork, requests: Sequence[SlotRequest]) -> set[str]:
    first, later = first_come(requests)
    # The same order in all workers; see the statement. Later ones keep their turns.
    held = await holds.hold(unit, sorted(first, key=lambda request: (request.provider_id, request.starts_at)))
    return held | await holds.hold(unit, later)


def _slot_held(request: SlotRequest) -> SlotHeld:
    return SlotHeld(
        **slot_fields(request),
        hold_until=request.hold_until,
        blocked_from=request.blocked_from,
        blocked_until=request.blocked_until,
    )
