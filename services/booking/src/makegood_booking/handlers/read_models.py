"""What booking learns from other services' topics. The result is the same if events are redelivered, replayed or out
of order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_chassis.personal_data.letters import seals
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditGranted,
    CreditReturned,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    LotExpiryChanged,
    MemberEnrolled,
    MessagePosted,
    MoveCreditHeld,
    RemarkKeyPublished,
    SchedulePublished,
    ScheduleWithdrawn,
    TimeOffAdded,
    TimeOffRemoved,
    VenueCodeChanged,
    WaitlistJoined,
)
from makegood_contracts.events.schedules import WaitlistFact

from makegood_booking.dependencies import Dependencies
from makegood_booking.handlers.sessions import call_off_for_time_off
from makegood_booking.handlers.waiters import schedule_key
from makegood_booking.store import calendars, coverage, remark_keys, venues
from makegood_booking.store.coverage import Movement
from makegood_booking.store.rooms import touch_by_members


async def on_enrolled(batch: Sequence[Received[MemberEnrolled]], unit: UnitOfWork) -> None:
    """Stores what each member's plan allows, and when (PLAN-1). A later enrolment implies that the earlier one
    ended."""
    for received in batch:
        await coverage.enrol(unit, received)


async def on_credits_moved(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
    """Stores credits that were granted, used or returned, by lot (CRED-2)."""
    movements = [moved for received in batch if (moved := movement(received)) is not None]
    if movements:
        coverage.move_credits(unit, movements)


def movement(received: Received[Any]) -> Movement | None:
    """What an event does to a lot. None if nothing. A credit that is spent or forfeited left its lot when it was held.
    The first hold of a session (CreditHeld) is not a movement, because the session's own row has its lot.
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


async def on_invoices_overdue(batch: Sequence[Received[InvoiceOverdue]], unit: UnitOfWork) -> None:
    """Stores whose invoices are overdue (CRED-7)."""
    await coverage.mark_invoices(unit, batch, True)


async def on_invoices_settled(batch: Sequence[Received[InvoicePaid | InvoiceVoided]], unit: UnitOfWork) -> None:
    """Stores whose invoices are no longer overdue (CRED-7). An invoice that was void before it was due was never
    overdue."""
    settled = [each for each in batch if not isinstance(each.event, InvoiceVoided) or each.event.was_due]
    if settled:
        await coverage.mark_invoices(unit, settled, False)


async def on_schedule_published(
    batch: Sequence[Received[SchedulePublished]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Stores when each provider works, and as what (AVAIL-1). Wakes requests that wait for a provider's first
    schedule (ROOM-1)."""
    published = {schedule_key(received.event.provider_id): True for received in batch}
    unit.after_commit(lambda: dependencies.signals.send(published))
    for received in batch:
        await calendars.publish(unit, received.event)


async def on_schedule_withdrawn(batch: Sequence[Received[ScheduleWithdrawn]], unit: UnitOfWork) -> None:
    """Stores which providers no longer work here (NOTE-5)."""
    for received in batch:
        await calendars.withdraw(unit, received.event)


async def on_time_off_added(
    batch: Sequence[Received[TimeOffAdded]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Stores when providers do not work, and cancels the sessions that they give up for it (AVAIL-1). Events of an
    earlier release have no times.
    """
    await call_off_for_time_off(batch, unit, dependencies)
    for received in batch:
        event = received.event
        if event.starts_at is not None and event.ends_at is not None:
            await calendars.add_time_off(unit, event.time_off_id, event.provider_id, event.starts_at, event.ends_at)


async def on_time_off_removed(batch: Sequence[Received[TimeOffRemoved]], unit: UnitOfWork) -> None:
    for received in batch:
        await calendars.remove_time_off(unit, received.event.time_off_id, received.event.provider_id)


async def on_waitlist(batch: Sequence[Received[WaitlistFact]], unit: UnitOfWork) -> None:
    """Stores what is held for whom (AVAIL-6)."""
    for received in batch:
        await calendars.keep_offer(unit, received)


async def on_venue_code(batch: Sequence[Received[VenueCodeChanged]], unit: UnitOfWork) -> None:
    """Stores the code with which people check in at each venue (JOIN-3)."""
    for received in batch:
        event = received.event
        await venues.keep_code(unit, event.venue_id, event.venue_version, event.code_digest)


async def on_member_seen(batch: Sequence[Received[MessagePosted | WaitlistJoined]], unit: UnitOfWork) -> None:
    """Stores activity (ROOM-2): a message or a waitlist entry by the member in a room. A message by the provider does
    not count.
    """
    await touch_by_members(
        unit,
        [
            (received.event.room_id, received.event.sender_id, received.event.sent_at)
            if isinstance(received.event, MessagePosted)
            else (received.event.room_id, received.event.member_id, received.time)
            for received in batch
        ],
    )


async def on_remark_keys(batch: Sequence[Received[RemarkKeyPublished]], unit: UnitOfWork) -> None:
    """Stores the newest key of each person. A key that cannot encrypt anything is refused (SEC-7), because every
    cancellation by its person would fail.
    """
    for received in batch:
        if not seals(received.event.public_key):
            unit.refuse(received.id, "not-its-terms")
    await remark_keys.keep(unit, [received for received in batch if received.id not in unit.refused])
