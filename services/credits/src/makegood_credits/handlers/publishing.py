"""Publishes entries and charges as events. Each takes the next number of the member's ledger."""

from __future__ import annotations

from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditForfeited,
    CreditGranted,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceIssued,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    LotExpiryChanged,
    PaymentRefunded,
    Price,
)
from makegood_plans.plans import Money

from makegood_credits.domain.book import ADJUSTED, AVAILABLE, Book, LedgerEntry
from makegood_credits.domain.endings import Settlement
from makegood_credits.domain.invoices import InvoiceChange
from makegood_credits.domain.settling import SETTLED_IN
from makegood_credits.handlers.deadlines import INVOICE_OVERDUE


def price(amount: Money) -> Price:
    """The amount as events have it."""
    return Price(amount_minor=amount.amount_minor, currency=amount.currency)


def publish_changes(unit: UnitOfWork, book: Book, cause: Cause) -> None:
    """Publishes what has not been published yet: changed expiries of lots, then entries and charges in their order."""
    for lot_id, told in book.former_expiries.items():
        lot = book.lots[lot_id]
        if lot.stored and lot.expires_at != told:
            event = LotExpiryChanged(member_id=book.member_id, lot_id=lot_id, expires_at=lot.expires_at)
            _publish(unit, book, event, cause)
    for change in book.unpublished:
        if isinstance(change, LedgerEntry):
            _publish(unit, book, _entry_event(book, change), cause)
        else:
            _publish(unit, book, _invoice_event(unit, change), cause)
    book.former_expiries, book.unpublished = {}, []


def publish_refund(
    unit: UnitOfWork, book: Book, amount: Money, *, purchase_id: str | None, invoice_id: str | None
) -> None:
    """Publishes that a payment was not accepted and is refunded (CRED-6)."""
    event = PaymentRefunded(
        member_id=book.member_id,
        purchase_id=purchase_id,
        invoice_id=invoice_id,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
    )
    _publish(unit, book, event, unit.cause)


def _publish(unit: UnitOfWork, book: Book, event: Event, cause: Cause) -> None:
    book.ledger_sequence += 1
    unit.publish(event, sequence=book.ledger_sequence, cause=cause)


def signed_amount(kind: str, amount: int, debit_account: str, credit_account: str) -> int:
    """The number of credits as people read it. An adjustment that takes credits away is negative. One that only changes
    how a credit was settled (spent instead of forfeited) is 0.
    """
    if kind != "adjust" or credit_account == AVAILABLE:
        return amount
    return -amount if debit_account == AVAILABLE else 0


def _entry_event(book: Book, entry: LedgerEntry) -> Event:
    lot = book.lots[entry.lot_id]
    shared: dict[str, Any] = {
        "entry_id": entry.id,
        "member_id": entry.member_id,
        "lot_id": lot.id,
        "amount": signed_amount(entry.kind, entry.amount, entry.debit_account, entry.credit_account),
        "available_after": entry.available_after,
        "held_after": entry.held_after,
    }
    hold: dict[str, Any] = {"session_id": entry.session_id, "hold_id": entry.hold_id}
    terms: dict[str, Any] = {"source": lot.source, "expires_at": lot.expires_at, "length_minutes": lot.length_minutes}
    made_for = lot.made_for_minutes
    match entry.kind:
        case "return":
            return CreditReturned(**shared, **hold, **terms, made_for_minutes=made_for, cause=entry.cause)
        case "spend":
            return CreditSpent(**shared, **hold)
        case "forfeit":
            return CreditForfeited(**shared, **hold, cause=entry.cause)
        case "expire":
            return CreditExpired(**shared)
        case "adjust" if entry.hold_id and ADJUSTED.name not in (entry.debit_account, entry.credit_account):
            return CreditCorrected(**shared, **hold, **terms, made_for_minutes=made_for, state=_state_of(entry))
        case "adjust":
            made_by, session_id = entry.made_by, entry.session_id
            return CreditAdjusted(**shared, **terms, made_for_minutes=made_for, session_id=session_id, made_by=made_by)
        case _:
            return CreditGranted(**shared, **terms)


def _state_of(entry: LedgerEntry) -> Settlement:
    """The state of a session's credit after the entry."""
    settled = (state for state, account in SETTLED_IN.items() if account.name == entry.credit_account)
    return next(settled, "returned")


def _invoice_event(unit: UnitOfWork, change: InvoiceChange) -> Event:
    """The event of a charge's new status (CRED-7, MISS-3). Sets the deadline at which a due charge becomes overdue."""
    invoice = change.invoice
    shared: dict[str, Any] = {
        "invoice_id": invoice.id,
        "member_id": invoice.member_id,
        "session_id": invoice.session_id,
        "amount_minor": invoice.amount.amount_minor,
        "currency": invoice.amount.currency,
    }
    match change.status:
        case "void":
            was_due = change.was != "pending"
            return InvoiceVoided(**shared, cause=change.cause, was_due=was_due, refunds=change.refunds)
        case "paid":
            return InvoicePaid(**shared, paid_at=unit.now)
        case "overdue":
            return InvoiceOverdue(**shared, due_on=invoice.due_on)
        case _:
            unit.set_deadline(INVOICE_OVERDUE, invoice.id, invoice.overdue_at)
            return InvoiceIssued(**shared, due_on=invoice.due_on, about=invoice.about)
