"""What follows from a member's ledger: the chat says that credits were returned, and the member is told what they owe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.currencies import currency_codes
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditCorrected,
    CreditReturned,
    Event,
    InvoiceIssued,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    PaymentRefunded,
)

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.announcements import (
    CREDIT_CORRECTED,
    CREDIT_RETURNED,
    INVOICE_ISSUED,
    INVOICE_OVERDUE,
    INVOICE_REFUNDED,
    PURCHASE_REFUNDED,
    Announcement,
    tells_of_return,
)
from makegood_notifications.domain.notices import Details, Parties, source_of, timeless_content
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.store import contacts, deliveries, read_models, returns
from makegood_notifications.store.returns import ReturnToTell

Charge = InvoiceIssued | InvoiceOverdue | InvoiceVoided

_CHARGES: Final[Mapping[type[Event], Announcement]] = {
    InvoiceIssued: INVOICE_ISSUED,
    InvoiceOverdue: INVOICE_OVERDUE,
    InvoiceVoided: INVOICE_REFUNDED,
}


async def on_credit_movement(batch: Sequence[Received[Any]], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Reports the movement only in the member's live stream."""
    await _send(batch, unit, Notifier(unit, dependencies))


async def on_credit_returned(
    batch: Sequence[Received[CreditReturned]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Says in the chat that the credit was returned (ROOM-4). If the session is not known yet, it does so as soon as it
    is.
    """
    notifier = Notifier(unit, dependencies)
    told = [
        ReturnToTell(received.event.session_id, source_of(received))
        for received in batch
        if tells_of_return(received.event)
    ]
    members = {received.id: received.event.member_id for received in batch}
    unknown = await _tell_returns(told, members, unit, notifier)
    if unknown:
        await returns.keep(unit, unknown)
    await _send(batch, unit, notifier)


async def tell_late_returns(session_ids: Sequence[str], unit: UnitOfWork, notifier: Notifier) -> None:
    """Reports returns whose events arrived before those of their sessions."""
    await _tell_returns(await returns.take(unit, session_ids), {}, unit, notifier)


async def on_credit_corrected(
    batch: Sequence[Received[CreditCorrected]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Says in the chat what a correction did to a session's credit (MISS-5)."""
    notifier = Notifier(unit, dependencies)
    sessions = await read_models.find_sessions(unit, [received.event.session_id for received in batch])
    preferences = await contacts.preferences(unit, {received.event.member_id for received in batch})
    await notifier.load_venues({session.venue_id for session in sessions.values()})
    for received in batch:
        session = sessions.get(received.event.session_id)
        if session is None:
            continue
        if session.member_id != received.event.member_id:
            unit.refuse(received.id, "not-its-parties")
            continue
        content = session.content(Details(state=received.event.state))
        notice = CREDIT_CORRECTED.notice(content, source_of(received))
        notifier.tell(notice, Parties.of(preferences, session.member_id))
    await _send(batch, unit, notifier)


async def on_invoice_due(
    batch: Sequence[Received[InvoiceIssued | InvoiceOverdue]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Tells the member what they owe and when it is due (EXT-1, CRED-7)."""
    notifier = Notifier(unit, dependencies)
    await _tell_charges(batch, unit, notifier)
    await _send(batch, unit, notifier)


async def on_invoice_settled(
    batch: Sequence[Received[InvoicePaid | InvoiceVoided]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Leaves out what is still queued about the invoice (NOTE-3). Tells the member about a refund (MISS-3)."""
    notifier = Notifier(unit, dependencies)
    settled = [received.event for received in batch]
    await deliveries.leave_out_invoices(unit, [(event.member_id, event.invoice_id) for event in settled])
    refunded: list[Received[Any]] = [
        received for received in batch if isinstance(received.event, InvoiceVoided) and received.event.refunds
    ]
    if refunded:
        await _tell_charges(refunded, unit, notifier)
    await _send(batch, unit, notifier)


async def on_payment_refunded(
    batch: Sequence[Received[PaymentRefunded]], unit: UnitOfWork, dependencies: Dependencies
) -> None:
    """Tells the member about a payment that was not accepted and is refunded (CRED-6)."""
    notifier = Notifier(unit, dependencies)
    preferences = await contacts.preferences(unit, {received.event.member_id for received in batch})
    for received in batch:
        event = received.event
        if event.amount_minor <= 0 or event.currency not in currency_codes():
            unit.refuse(received.id, "not-its-terms")
            continue
        details = Details(amount_minor=event.amount_minor, currency=event.currency)
        announcement = INVOICE_REFUNDED if event.purchase_id is None else PURCHASE_REFUNDED
        content = timeless_content(event.member_id, unit.now, details=details)
        notifier.tell(announcement.notice(content, source_of(received)), Parties.of(preferences, event.member_id))
    await _send(batch, unit, notifier)


async def _tell_charges(batch: Sequence[Received[Charge]], unit: UnitOfWork, notifier: Notifier) -> None:
    named = [received.event.session_id for received in batch if received.event.session_id is not None]
    sessions = await read_models.find_sessions(unit, named)
    preferences = await contacts.preferences(unit, {received.event.member_id for received in batch})
    for received in batch:
        event = received.event
        details = Details(
            invoice_id=event.invoice_id,
            amount_minor=event.amount_minor,
            currency=event.currency,
            due_on=None if isinstance(event, InvoiceVoided) else event.due_on,
            about=event.about if isinstance(event, InvoiceIssued) else "",
        )
        session = sessions.get(event.session_id or "")
        if session is not None and session.member_id != event.member_id:
            unit.refuse(received.id, "not-its-parties")
            continue
        if event.amount_minor <= 0 or event.currency not in currency_codes():
            unit.refuse(received.id, "not-its-terms")
            continue
        if session is not None:
            content = session.content(details)
        else:
            content = timeless_content(event.member_id, unit.now, session_id=event.session_id, details=details)
        notice = _CHARGES[type(event)].notice(content, source_of(received))
        notifier.tell(notice, Parties.of(preferences, event.member_id))


async def _tell_returns(
    told: Sequence[ReturnToTell], members: Mapping[str, str], unit: UnitOfWork, notifier: Notifier
) -> list[ReturnToTell]:
    """`members`: event → the member whom it names. Returns the events whose session is not known yet."""
    if not told:
        return []
    known = await returns.contents_of_sessions(unit, [one.session_id for one in told])
    await notifier.load_venues({venue_id for content, _ in known.values() for venue_id in content.venue_ids})
    unknown: list[ReturnToTell] = []
    for one in told:
        if one.session_id not in known:
            unknown.append(one)
            continue
        content, member = known[one.session_id]
        if members.get(one.source.event_id, content.member_id) != content.member_id:
            unit.refuse(one.source.event_id, "not-its-parties")
            continue
        notifier.tell(CREDIT_RETURNED.notice(content, one.source), Parties(member))
    return unknown


async def _send(batch: Sequence[Received[Any]], unit: UnitOfWork, notifier: Notifier) -> None:
    """Sends the notices, and reports the events that were not refused in the members' live streams."""
    for received in batch:
        if received.id not in unit.refused:
            member_id = received.event.member_id
            notifier.stream(member_id, None, "credits.changed", {"member_id": member_id})
    await notifier.send()
