"""What booking does with the answers of availability and credits, and with credits that were settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import EventHandler, EventHandlers
from makegood_chassis.revocation import on_tokens_revoked
from makegood_chassis.signals import Signals
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import (
    CreditCorrected,
    CreditForfeited,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceVoided,
    MoveCreditHeld,
    MoveCreditRefused,
    PersonErased,
    Price,
    RemarkKeyPublished,
    SchedulePublished,
    SlotHeld,
    SlotMoved,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
    TimeOffAdded,
    TokensRevoked,
    WaitlistCandidateProposed,
)
from makegood_plans.plans import Money

from makegood_booking.domain.believing import disbelieved
from makegood_booking.domain.booking import (
    co_pay_lapsed,
    credit_corrected,
    credit_held,
    credit_moved,
    credit_refused,
    slot_held,
    slot_lapsed,
    slot_refused,
)
from makegood_booking.domain.cancelling import call_off
from makegood_booking.domain.moves import carried_out, not_paid_for, paid_for, turned_down
from makegood_booking.domain.session import Session, Transition
from makegood_booking.handlers.bookability import BookabilityService
from makegood_booking.handlers.candidates import judges
from makegood_booking.handlers.erasures import erases
from makegood_booking.handlers.read_models import READ_MODELS, together
from makegood_booking.handlers.reopening import reopen_rooms, reserved_now
from makegood_booking.handlers.schedules import on_schedule
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store import remark_keys
from makegood_booking.store.sessions import Sessions

E = TypeVar("E", bound=Event)
Rule = Callable[[Session, Any, datetime], Transition]


def event_handlers(sessions: Sessions, signals: Signals, bookability_service: BookabilityService) -> EventHandlers:
    """Event type → handler."""
    rules: dict[type[Event], Rule] = {
        SlotHeld: lambda session, event, now: slot_held(session, now, (event.blocked_from, event.blocked_until)),
        SlotRefused: lambda session, event, now: slot_refused(session, event.reasons, now),
        CreditHeld: lambda session, event, now: credit_held(
            session, event.funding == "co_pay", now, event.lot_id, amount_of(event.co_pay)
        ),
        CreditRefused: lambda session, event, now: credit_refused(session, event.reasons, event.purchasable, now),
        SlotReleased: lambda session, event, now: slot_lapsed(session, now),
        CreditReturned: lambda session, event, now: credit_moved(session, "returned", event.cause, now),
        CreditForfeited: lambda session, event, now: credit_moved(session, "forfeited", event.cause, now),
        CreditSpent: lambda session, event, now: credit_moved(session, "spent", None, now),
        InvoiceVoided: lambda session, event, now: co_pay_lapsed(session, now),
        MoveCreditHeld: lambda session, event, now: paid_for(
            session, event.move_id, event.funding if event.how == "added" else None, now, amount_of(event.co_pay)
        ),
        MoveCreditRefused: lambda session, event, now: not_paid_for(
            session, event.move_id, event.reasons, event.purchasable
        ),
        SlotMoved: lambda session, event, now: carried_out(
            session, event.move_id, now, (event.blocked_from, event.blocked_until)
        ),
        SlotMoveRefused: lambda session, event, now: turned_down(session, event.move_id, event.reasons),
        CreditCorrected: lambda session, event, now: credit_corrected(session, event.state),
    }
    handlers: dict[type[Event], EventHandler] = {
        kind: _handler(rule, sessions, signals) for kind, rule in rules.items()
    }
    handlers |= {
        TimeOffAdded: _on_time_off(sessions, signals),
        SchedulePublished: on_schedule(signals),
        PersonErased: erases(sessions, signals),
        RemarkKeyPublished: remark_keys.on_published,
        WaitlistCandidateProposed: judges(bookability_service, sessions.policies),
        TokensRevoked: on_tokens_revoked,
    }
    return together(handlers, READ_MODELS)


def amount_of(price: Price | None) -> Money | None:
    """An amount of money as it was told."""
    return None if price is None else Money(price.amount_minor, price.currency)


def _on_time_off(sessions: Sessions, signals: Signals) -> EventHandler:
    """AVAIL-1: the sessions inside it that the provider chose to give up are cancelled as by the provider (CANC-2)."""

    async def handle(batch: Sequence[Received[TimeOffAdded]], unit: UnitOfWork) -> None:
        whose = {session_id: received for received in batch for session_id in received.event.cancels}
        if not whose:
            return
        before = await sessions.lock_many(sorted(whose), unit)
        changes: list[tuple[Transition, Cause]] = []
        after: list[Session] = []
        for session in before.values():
            received = whose[session.id]
            off = _lies_in(session, received.event)
            changed = call_off(session, "provider", "time_off", unit.now) if off else Transition(session)
            after.append(changed.session)
            if changed.session is not session:
                changes.append((changed, received.cause))
        await sessions.save(changes, unit)
        wake_waiters(list(before.values()), after, signals, unit)

    return handle


def _lies_in(session: Session, off: TimeOffAdded) -> bool:
    """Whether it is the provider's and touches the time off: where it stands, for it may have been moved out of it meanwhile,
    or where a pending move puts it, for of that availability tells on another topic."""
    if session.booked.provider_id != off.provider_id or off.starts_at is None or off.ends_at is None:
        return False
    spans = [(session.booked.starts_at, session.booked.ends_at)]
    if session.move is not None and session.move.pending:
        spans.append((session.move.starts_at, session.move.ends_at))
    return any(start < off.ends_at and off.starts_at < end for start, end in spans)


def _handler(rule: Rule, sessions: Sessions, signals: Signals) -> EventHandler:
    async def handle(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        wanted = [received for received in batch if _is_relevant(received.event)]
        if not wanted:
            return
        ids = {received.event.session_id for received in wanted}
        before = await sessions.lock_many(sorted(ids), unit)
        now = dict(before)
        changes: list[tuple[Transition, Cause]] = []
        reserved: list[tuple[Session, Cause]] = []
        for received in wanted:
            session = now.get(received.event.session_id)
            if session is None:
                unit.refuse(received.id, "unknown-session")
                continue
            if (why := disbelieved(received.event, session, unit.now)) is not None:
                unit.refuse(received.id, why)
                continue
            changed = rule(session, received.event, unit.now)
            if changed.session is not session:
                now[session.id] = changed.session
                changes.append((changed, received.cause))
                if reserved_now(session, changed.session):
                    reserved.append((changed.session, received.cause))
        await sessions.save(changes, unit)
        await reopen_rooms(reserved, sessions.policies, unit)
        wake_waiters(list(before.values()), list(now.values()), signals, unit)

    return handle


def is_relevant(event: Event) -> bool:
    """Of released slots only those that lapsed: every ending of a session releases one, and booking itself decided that."""
    return not isinstance(event, SlotReleased) or event.cause == "lapsed"


def _is_relevant(event: Event) -> bool:
    """Of released slots and void co-pays only those that lapsed: the others follow from what booking itself decided."""
    if isinstance(event, SlotReleased):
        return event.cause == "lapsed"
    if isinstance(event, InvoiceVoided):
        return event.cause == "lapsed" and event.session_id is not None
    # A credit that support gave back without naming a session concerns none.
    return not isinstance(event, CreditReturned) or bool(event.session_id)
