"""What booking learns from other services' topics. Redelivered, replayed or out of order, the same is known in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import EventHandler, EventHandlers
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditGranted,
    CreditReturned,
    Event,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    LotExpiryChanged,
    MemberEnrolled,
    MessagePosted,
    MoveCreditHeld,
    SchedulePublished,
    ScheduleWithdrawn,
    TimeOffAdded,
    TimeOffRemoved,
    VenueCodeChanged,
    WaitlistCandidatePassedOver,
    WaitlistCandidateProposed,
    WaitlistEnded,
    WaitlistJoined,
    WaitlistOffered,
    WaitlistOfferLapsed,
)
from makegood_contracts.events.schedules import WaitlistFact

from makegood_booking.store import calendars, coverage, venues
from makegood_booking.store.coverage import Movement
from makegood_booking.store.rooms import touch_by_members


async def on_enrolled(batch: Sequence[Received[MemberEnrolled]], unit: UnitOfWork) -> None:
    """PLAN-1: what each member's plan allows, and when. That an earlier enrolment ended follows from the later one."""
    for received in batch:
        await coverage.enrol(received, unit)


async def on_credits_moved(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
    """CRED-2: credits that came, went or came back, by lot."""
    movements = [moved for received in batch if (moved := movement(received)) is not None]
    if movements:
        await coverage.move_credits(movements, unit)


def movement(received: Received[Any]) -> Movement | None:
    """What an event does to a lot; None: nothing. What is held, spent or forfeited has left its lot with the hold.

    The hold that a session begins with (CreditHeld) is no movement: the session's own row keeps its lot.
    """
    event, sequence = received.event, received.sequence
    match event:
        case CreditGranted() | CreditReturned():
            amount = event.amount
        case CreditAdjusted() | CreditCorrected():
            if event.amount <= 0:
                return Movement(event.entry_id, event.member_id, event.lot_id, event.amount, sequence)
            amount = event.amount
        case CreditExpired():
            return Movement(event.entry_id, event.member_id, event.lot_id, -event.amount, sequence)
        case LotExpiryChanged():
            return Movement(
                received.id, event.member_id, event.lot_id, 0, sequence, tells=True, expires_at=event.expires_at
            )
        case MoveCreditHeld():
            if event.how == "kept" or event.lot_id is None:
                return None
            return Movement(event.hold_id, event.member_id, event.lot_id, -1, sequence)
        case _:
            raise TypeError(f"{type(event).__name__} moves no credits")
    return Movement(
        event.entry_id,
        event.member_id,
        event.lot_id,
        amount,
        sequence,
        tells=True,
        length_minutes=event.length_minutes,
        expires_at=event.expires_at,
        made_for_minutes=None if isinstance(event, CreditGranted) else event.made_for_minutes,
    )


async def on_overdue(batch: Sequence[Received[InvoiceOverdue]], unit: UnitOfWork) -> None:
    """CRED-7: who owes."""
    await coverage.mark_invoices(batch, True, unit)


async def on_settled(batch: Sequence[Received[InvoicePaid | InvoiceVoided]], unit: UnitOfWork) -> None:
    """CRED-7: and who does so no more. What was void before it was due was never overdue."""
    settled = [each for each in batch if not isinstance(each.event, InvoiceVoided) or each.event.was_due]
    if settled:
        await coverage.mark_invoices(settled, False, unit)


async def on_schedule(batch: Sequence[Received[SchedulePublished]], unit: UnitOfWork) -> None:
    """AVAIL-1: when each provider works, and as what."""
    for received in batch:
        await calendars.publish(received.event, unit)


async def on_withdrawn(batch: Sequence[Received[ScheduleWithdrawn]], unit: UnitOfWork) -> None:
    """NOTE-5: and when they do not work here any more."""
    for received in batch:
        await calendars.withdraw(received.event, unit)


async def on_time_off(batch: Sequence[Received[TimeOffAdded]], unit: UnitOfWork) -> None:
    """AVAIL-1: when they do not. Events of an earlier release have no times."""
    for received in batch:
        event = received.event
        if event.starts_at is not None and event.ends_at is not None:
            await calendars.add_time_off(event.time_off_id, event.provider_id, event.starts_at, event.ends_at, unit)


async def on_time_off_removed(batch: Sequence[Received[TimeOffRemoved]], unit: UnitOfWork) -> None:
    for received in batch:
        await calendars.remove_time_off(received.event.time_off_id, received.event.provider_id, unit)


async def on_waitlist(batch: Sequence[Received[WaitlistFact]], unit: UnitOfWork) -> None:
    """AVAIL-6: what is held for whom."""
    for received in batch:
        await calendars.keep_offer(received, unit)


async def on_venue_code(batch: Sequence[Received[VenueCodeChanged]], unit: UnitOfWork) -> None:
    """JOIN-3: by which code people check in at each venue."""
    for received in batch:
        event = received.event
        await venues.keep_code(event.venue_id, event.venue_version, event.code_digest, unit)


async def on_member_seen(batch: Sequence[Received[MessagePosted | WaitlistJoined]], unit: UnitOfWork) -> None:
    """ROOM-2: a message or wish of the member's in a room is activity; one of the provider's is not."""
    await touch_by_members(
        [
            (received.event.room_id, received.event.sender_id, received.event.sent_at)
            if isinstance(received.event, MessagePosted)
            else (received.event.room_id, received.event.member_id, received.time)
            for received in batch
        ],
        unit,
    )


READ_MODELS: Final[EventHandlers] = {
    MemberEnrolled: on_enrolled,
    CreditGranted: on_credits_moved,
    CreditReturned: on_credits_moved,
    CreditExpired: on_credits_moved,
    CreditAdjusted: on_credits_moved,
    CreditCorrected: on_credits_moved,
    LotExpiryChanged: on_credits_moved,
    MoveCreditHeld: on_credits_moved,
    InvoiceOverdue: on_overdue,
    InvoicePaid: on_settled,
    InvoiceVoided: on_settled,
    SchedulePublished: on_schedule,
    ScheduleWithdrawn: on_withdrawn,
    TimeOffAdded: on_time_off,
    TimeOffRemoved: on_time_off_removed,
    WaitlistJoined: on_member_seen,
    WaitlistCandidateProposed: on_waitlist,
    WaitlistCandidatePassedOver: on_waitlist,
    WaitlistOffered: on_waitlist,
    WaitlistOfferLapsed: on_waitlist,
    WaitlistEnded: on_waitlist,
    MessagePosted: on_member_seen,
    VenueCodeChanged: on_venue_code,
}
"""Event type → handler of what is learnt from it."""


def together(*tables: EventHandlers) -> EventHandlers:
    """One routing table: where several have a handler for a type, each is called, in their order."""
    kinds: dict[type[Event], list[EventHandler]] = {}
    for table in tables:
        for kind, handler in table.items():
            kinds.setdefault(kind, []).append(handler)
    return {kind: handlers[0] if len(handlers) == 1 else _all(handlers) for kind, handlers in kinds.items()}


def _all(handlers: Sequence[Callable[[Sequence[Received[Any]], UnitOfWork], Any]]) -> EventHandler:
    async def handle(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        for handler in handlers:
            believed = [received for received in batch if received.id not in unit.refused]
            if believed:
                await handler(believed, unit)

    return handle
