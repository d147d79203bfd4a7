"""Changes sessions on other services' events and on deadlines: lock → rule → save → wake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from makegood_chassis import tracing
from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due, EventHandler, takes_types_together
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import CreditReturned, Event, InvoiceVoided, SlotReleased, TimeOffAdded

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.attendance import next_due, time_passed
from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.plausibility import implausibility
from makegood_booking.domain.rebooking import reopened, reopens_room_now
from makegood_booking.domain.session import Session, Transition
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.metrics import count_decisions
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.rooms import lock_room, read_rooms, save_room
from makegood_booking.store.sessions import DEADLINE, lock_sessions, save_sessions

Rule = Callable[[Session, Any, datetime], Transition]


def applies(
    rules: Mapping[type[Event], Rule], also: EventHandler | None = None
) -> Callable[[Sequence[Received[Any]], UnitOfWork, Dependencies], Awaitable[None]]:
    """The handler of events that each change one session by the rule of their type. `also` gets those that were not
    refused.

    Answers of different services to one booking often come together: then its session is locked and written once.
    """

    @takes_types_together
    async def on_event(batch: Sequence[Received[Any]], unit: UnitOfWork, dependencies: Dependencies) -> None:
        relevant = [received for received in batch if _changes_a_session(received.event)]
        if relevant:
            await _apply(rules, relevant, unit, dependencies)
        if also is not None:
            accepted = [received for received in batch if received.id not in unit.refused]
            if accepted:
                await also(accepted, unit)

    return on_event


async def _apply(
    rules: Mapping[type[Event], Rule], batch: Sequence[Received[Any]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    ids = {received.event.session_id for received in batch}
    before = await lock_sessions(unit, dependencies.policies, sorted(ids))
    now = dict(before)
    changes: list[tuple[Transition, Cause]] = []
    reserved: list[tuple[Session, Cause]] = []
    for received in batch:
        session = now.get(received.event.session_id)
        if session is None:
            unit.refuse(received.id, "unknown-session")
            continue
        if (why := implausibility(received.event, session, unit.now)) is not None:
            unit.refuse(received.id, why)
            continue
        changed = rules[type(received.event)](session, received.event, unit.now)
        if changed.session is not session:
            now[session.id] = changed.session
            changes.append((changed, received.cause))
            if reopens_room_now(session, changed.session):
                reserved.append((changed.session, received.cause))
    save_sessions(unit, changes)
    count_decisions(unit, changes)
    await _reopen_rooms(unit, dependencies.policies, reserved)
    wake_waiters(unit, dependencies.signals, list(before.values()), list(now.values()))


def _changes_a_session(event: Event) -> bool:
    """Whether the event changes a session. Of released slots and void co-pays only the lapsed ones do: the others
    follow from what booking itself decided.
    """
    if isinstance(event, SlotReleased):
        return event.cause == "lapsed"
    if isinstance(event, InvoiceVoided):
        return event.cause == "lapsed" and event.session_id is not None
    # A credit that support gave back may name no session.
    return not isinstance(event, CreditReturned) or bool(event.session_id)


async def _reopen_rooms(unit: UnitOfWork, policies: PolicyCache, reserved: Sequence[tuple[Session, Cause]]) -> None:
    """Opens the rooms of these sessions, unless they are already open again or the pair has another open one."""
    for session, cause in sorted(reserved, key=lambda each: each[0].booked.room_id):
        room = await lock_room(unit, session.booked.room_id)
        if room is None:
            continue
        active_at = (await read_rooms(unit, [room.id]))[room.id].active_at
        opened = reopened(room, active_at, await policies.current(unit), unit.now)
        if opened is not None and await save_room(unit, opened[0]):
            unit.publish(opened[1], sequence=opened[0].version, cause=cause)


async def on_session_due(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Applies what happens to sessions automatically: MISS-1, CONF-2, JOIN-2, NOSH-1."""
    before = await lock_sessions(unit, dependencies.policies, sorted({deadline.entity_id for deadline in due}))
    changes: list[tuple[Transition, Cause]] = []
    after = []
    for session in before.values():
        changed = time_passed(session, unit.now)
        after.append(changed.session)
        if changed.events:
            changes.append((changed, tracing.begin("deadline session", unit)))
        else:  # another worker was faster, or the clock went back: wait for the next moment
            unit.set_deadline(DEADLINE, session.id, next_due(changed.session))
    save_sessions(unit, changes)
    count_decisions(unit, changes)
    wake_waiters(unit, dependencies.signals, list(before.values()), after)


async def call_off_for_time_off(
    batch: Sequence[Received[TimeOffAdded]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Cancels, as if by the provider, the sessions that the provider gives up for time off (CANC-2, AVAIL-1)."""
    by_session = {session_id: received for received in batch for session_id in received.event.cancels}
    if not by_session:
        return
    before = await lock_sessions(unit, dependencies.policies, sorted(by_session))
    changes: list[tuple[Transition, Cause]] = []
    after: list[Session] = []
    for session in before.values():
        received = by_session[session.id]
        off = _lies_in(session, received.event)
        changed = call_off(session, "provider", "time_off", unit.now) if off else Transition(session)
        after.append(changed.session)
        if changed.session is not session:
            changes.append((changed, received.cause))
    save_sessions(unit, changes)
    wake_waiters(unit, dependencies.signals, list(before.values()), after)


def _lies_in(session: Session, off: TimeOffAdded) -> bool:
    """Whether it is the provider's and touches the time off, at its present time or at that of a pending move. It may
    have been moved away in the meantime, and the outcome of a move arrives on another topic.
    """
    if session.booked.provider_id != off.provider_id or off.starts_at is None or off.ends_at is None:
        return False
    spans = [(session.booked.starts_at, session.booked.ends_at)]
    if session.move is not None and session.move.pending:
        spans.append((session.move.starts_at, session.move.ends_at))
    return any(start < off.ends_at and off.starts_at < end for start, end in spans)
