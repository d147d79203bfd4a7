"""Entries and charges as the events that others hear. Each takes the next number of the member's ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

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
    SettleCause,
)

from makegood_credits.domain.book import ADJUSTED, AVAILABLE, Book, LedgerEntry
from makegood_credits.domain.correcting import ACCOUNTS
from makegood_credits.domain.invoices import Invoice
from makegood_credits.domain.plans import Money
from makegood_credits.domain.settling import Settlement
from makegood_credits.handlers.due import OVERDUE


def price(amount: Money) -> Price:
    """The amount as events tell it."""
    return Price(amount_minor=amount.amount_minor, currency=amount.currency)


def publish_entries(
    unit: UnitOfWork, book: Book, entries: list[LedgerEntry], cause: Cause, settled_by: SettleCause = "support"
) -> None:
    """Publishes the entries, save holds: those are told by CreditHeld in their own topic."""
    for entry in entries:
        if entry.kind != "hold":
            _publish(unit, book, _fact(book, entry, settled_by), cause)


def publish_expiries(unit: UnitOfWork, book: Book, told: Mapping[str, datetime | None]) -> None:
    """Publishes which lots lapse at another moment than was `told` of them, by lot."""
    for lot_id, expires_at in told.items():
        now = book.lots[lot_id].expires_at
        if now != expires_at:
            event = LotExpiryChanged(member_id=book.member_id, lot_id=lot_id, expires_at=now)
            _publish(unit, book, event, unit.cause)


def publish_charge(
    unit: UnitOfWork,
    book: Book,
    invoice: Invoice,
    cause: Cause,
    settled_by: SettleCause = "support",
    *,
    was_due: bool = False,
    refunds: bool = False,
) -> None:
    """Publishes what became of a charge (CRED-7, MISS-3). One that is due now falls overdue by itself.

    `was_due`: it was issued before it became void; `refunds`: and paid, so that the money goes back.
    """
    event: Event
    if invoice.status == "void":
        event = InvoiceVoided(
            invoice_id=invoice.id,
            member_id=invoice.member_id,
            session_id=invoice.session_id,
            amount_minor=invoice.amount.amount_minor,
            currency=invoice.amount.currency,
            cause=settled_by,
            was_due=was_due,
            refunds=refunds,
        )
    elif invoice.status == "paid":
        event = InvoicePaid(
            invoice_id=invoice.id,
            member_id=invoice.member_id,
            session_id=invoice.session_id,
            amount_minor=invoice.amount.amount_minor,
            currency=invoice.amount.currency,
            paid_at=unit.now,
        )
    elif invoice.status == "overdue":
        event = InvoiceOverdue(
            invoice_id=invoice.id,
            member_id=invoice.member_id,
            session_id=invoice.session_id,
            amount_minor=invoice.amount.amount_minor,
            currency=invoice.amount.currency,
            due_on=invoice.due_on,
        )
    else:
        unit.set_deadline(OVERDUE, invoice.id, invoice.overdue_at)
        event = InvoiceIssued(
            invoice_id=invoice.id,
            member_id=invoice.member_id,
            session_id=invoice.session_id,
            amount_minor=invoice.amount.amount_minor,
            currency=invoice.amount.currency,
            due_on=invoice.due_on,
            about=invoice.about,
        )
    _publish(unit, book, event, cause)


def publish_refund(
    unit: UnitOfWork, book: Book, amount: Money, *, purchase_id: str | None, invoice_id: str | None
) -> None:
    """Publishes that a payment is not accepted and goes back (CRED-6)."""
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
    """Credits of a movement as people read them: an adjustment that takes some away is negative, and one that only says
    that a credit went another way (spent, not forfeited) is 0."""
    if kind != "adjust" or credit_account == AVAILABLE:
        return amount
    return -amount if debit_account == AVAILABLE else 0


def _state_of(entry: LedgerEntry) -> Settlement:
    """What a session's credit is after the entry."""
    return next((state for state, account in ACCOUNTS.items() if account == entry.credit_account), "returned")


def _fact(book: Book, entry: LedgerEntry, settled_by: SettleCause) -> Event:
    lot = book.lots[entry.lot_id]
    entry_id, member_id, lot_id = entry.id, entry.member_id, entry.lot_id
    amount = signed_amount(entry.kind, entry.amount, entry.debit_account, entry.credit_account)
    available, held = entry.available_after, entry.held_after
    session_id, hold_id = entry.session_id or "", entry.hold_id or ""
    match entry.kind:
        case "return":
            return CreditReturned(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
                session_id=session_id,
                hold_id=hold_id,
                cause=settled_by,
                source=lot.source,
                expires_at=lot.expires_at,
                length_minutes=lot.length_minutes,
                made_for_minutes=lot.made_for_minutes,
            )
        case "spend":
            return CreditSpent(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
                session_id=session_id,
                hold_id=hold_id,
            )
        case "forfeit":
            return CreditForfeited(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
                session_id=session_id,
                hold_id=hold_id,
                cause=settled_by,
            )
        case "expire":
            return CreditExpired(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
            )
        case "adjust" if entry.hold_id is not None and ADJUSTED not in (entry.debit_account, entry.credit_account):
            return CreditCorrected(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
                session_id=session_id,
                hold_id=hold_id,
                state=_state_of(entry),
                source=lot.source,
                expires_at=lot.expires_at,
                length_minutes=lot.length_minutes,
                made_for_minutes=lot.made_for_minutes,
            )
        case "adjust":
            return CreditAdjusted(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
                session_id=entry.session_id,
                made_by=entry.made_by,
                source=lot.source,
                length_minutes=lot.length_minutes,
                expires_at=lot.expires_at,
                made_for_minutes=lot.made_for_minutes,
            )
        case _:
            return CreditGranted(
                entry_id=entry_id,
                member_id=member_id,
                lot_id=lot_id,
                amount=amount,
                available_after=available,
                held_after=held,
                source=lot.source,
                length_minutes=lot.length_minutes,
                expires_at=lot.expires_at,
            )
