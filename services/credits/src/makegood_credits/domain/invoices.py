"""CRED-7: charges, which are pending, issued, paid, void or overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from makegood_contracts.events import SettleCause
from makegood_contracts.ids import new_id
from makegood_plans.coverage import end_of, local_day
from makegood_plans.plans import Money

from makegood_credits.domain.book import Book

InvoiceStatus = Literal["pending", "issued", "paid", "void", "overdue"]
InvoiceAbout = Literal["co_pay", "extension"]

OPEN: Final[frozenset[InvoiceStatus]] = frozenset({"issued", "overdue"})
"""The statuses in which a charge can be paid."""

CORRECTION_TERM: Final = timedelta(days=14)
"""How long the member has to pay a charge that a corrected outcome made due."""


@dataclass(slots=True)
class Invoice:
    """A charge for a session. It can be paid in time until the end of `due_on`, and is overdue from `overdue_at` on."""

    id: str
    member_id: str
    session_id: str
    status: InvoiceStatus
    amount: Money
    due_on: date
    overdue_at: datetime | None = None
    about: InvoiceAbout = "co_pay"
    voided_by: str | None = None
    """Who voided it, or moved the session to another length. It then stays void, whatever becomes of the session."""


class InvoiceChange(NamedTuple):
    """A charge changed its status. `was`: the previous status, None for a new charge. `cause`: why, as in events."""

    invoice: Invoice
    status: InvoiceStatus
    was: InvoiceStatus | None
    cause: SettleCause

    @property
    def refunds(self) -> bool:
        """Whether a paid charge became void, so that the money is refunded (MISS-3, CRED-7)."""
        return self.status == "void" and self.was == "paid"


def due_on(ends_at: datetime, days: int, time_zone: str) -> date:
    """The day on which a co-pay is due: `days` after the session ends, in the coverage's time zone (CRED-7)."""
    return local_day(ends_at, time_zone) + timedelta(days=days)


def pending_co_pay(member_id: str, session_id: str, amount: Money, due: date, time_zone: str) -> Invoice:
    """Creates a co-pay, which is pending from the booking on (PLAN-1)."""
    return Invoice(new_id(), member_id, session_id, "pending", amount, due, end_of(due, time_zone))


def put_off(book: Book, invoice: Invoice, due: date, time_zone: str) -> None:
    """Changes the day on which a charge is due, and the moment after which it is overdue."""
    invoice.due_on, invoice.overdue_at = due, end_of(due, time_zone)
    book.changed_invoices[invoice.id] = invoice


def extension(invoice_id: str, member_id: str, session_id: str, amount: Money, due_on: date, time_zone: str) -> Invoice:
    """Charges for an extension. It is due at once, until a day in the session's time zone (EXT-1)."""
    overdue_at = end_of(due_on, time_zone)
    return Invoice(invoice_id, member_id, session_id, "issued", amount, due_on, overdue_at, "extension")


def charge(book: Book, invoice: Invoice) -> None:
    """Creates a charge that is due from now on (EXT-1)."""
    book.unpublished.append(InvoiceChange(invoice, invoice.status, None, "support"))


def issue(book: Book, invoice: Invoice, now: datetime, days: int) -> bool:
    """Issues a pending charge. False if support voided it before (CRED-7).

    If the session's event arrives late, the member still has the full number of `days`.
    """
    if invoice.voided_by is not None:
        return False
    # The coverage's zone may differ from UTC by a day; that is not late.
    _leave_time(invoice, now - timedelta(days=1), timedelta(days=days))
    _become(book, invoice, "issued")
    return True


def issue_again(book: Book, invoice: Invoice, now: datetime) -> bool:
    """Makes a void charge due again, with at least two weeks to pay it (MISS-5).

    False if nothing changes, for example because support voided it.
    """
    if invoice.status != "void" or invoice.voided_by is not None:
        return False
    _leave_time(invoice, now, CORRECTION_TERM)
    _become(book, invoice, "issued", "corrected")
    return True


def void(book: Book, invoice: Invoice, cause: SettleCause) -> bool:
    """Voids a charge (MISS-3). False if it is void already. What was paid is refunded."""
    if invoice.status == "void":
        return False
    _become(book, invoice, "void", cause)
    return True


def void_for_good(book: Book, invoice: Invoice, made_by: str, cause: SettleCause = "support") -> bool:
    """Support voids a charge, whatever happens to the session (CRED-7). False if it is void already."""
    if not void(book, invoice, cause):
        return False
    invoice.voided_by = made_by
    return True


def pay(book: Book, invoice: Invoice) -> bool:
    """Marks a charge as paid. False if nothing was owed, so that the money must be refunded (CRED-7)."""
    if invoice.status not in OPEN:
        return False
    _become(book, invoice, "paid")
    return True


def fall_overdue(book: Book, invoice: Invoice, now: datetime) -> bool:
    """Marks a charge as overdue, because it was not paid by the end of its due day (CRED-7). It blocks booking
    (BOOK-7).
    """
    if invoice.status != "issued" or invoice.overdue_at is None or now < invoice.overdue_at:
        return False
    _become(book, invoice, "overdue")
    return True


def _become(book: Book, invoice: Invoice, status: InvoiceStatus, cause: SettleCause = "support") -> None:
    book.overdue += (status == "overdue") - (invoice.status == "overdue")
    book.unpublished.append(InvoiceChange(invoice, status, invoice.status, cause))
    book.changed_invoices[invoice.id] = invoice
    invoice.status = status


def _leave_time(invoice: Invoice, now: datetime, term: timedelta) -> None:
    day = (now + term).date()
    if day > invoice.due_on:
        invoice.due_on, invoice.overdue_at = day, end_of(day, "UTC")
