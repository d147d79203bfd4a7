"""A member's plan, credits and charges, kept by the rules of the credits service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_contracts.envelope import Cause
from makegood_contracts.events import CreditReturned, Event, InvoiceIssued, InvoiceOverdue, Modality, Specialty
from makegood_contracts.ids import new_id
from makegood_credits.domain.book import Book
from makegood_credits.domain.coverage import Enrolment, day_before
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, end_coverage, enrol
from makegood_credits.domain.invoices import Invoice, fall_overdue, pay
from makegood_credits.domain.purchasing import Purchase, paid, purchase
from makegood_credits.handlers.commands import enrolled_event, publish_ended
from makegood_credits.handlers.publishing import publish_changes
from makegood_notifications.domain.announcements import (
    CREDIT_RETURNED,
    INVOICE_ISSUED,
    INVOICE_OVERDUE,
    tells_of_return,
)
from makegood_plans.coverage import covering, local_day
from makegood_plans.funding import FundingResult, SessionTerms, fund

from makegood_cli.year.messages import Messages, Parties
from makegood_cli.year.simulation import Simulation, Unit

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_COVERED_DAYS: Final = {"eap-6": 180, "sponsored-12": 365}
_PAID_IN_TIME: Final = 0.92
_PAID_LATE: Final = 0.9


class Account:
    """The book of one member. Days are those of `time_zone`."""

    def __init__(
        self, simulation: Simulation, member_id: str, time_zone: str, parties: Parties, messages: Messages
    ) -> None:
        self._simulation, self._parties, self._messages = simulation, parties, messages
        self._time_zone = time_zone
        self.book = Book(member_id)
        self._invoices: dict[str, Invoice] = {}
        self._due: datetime | None = None

    def enrolment_at(self, moment: datetime) -> Enrolment | None:
        """The enrolment that covers the member then."""
        return covering(self.book.enrolments, moment)

    def funding(
        self, starts_at: datetime, length_minutes: int, modality: Modality, specialty: Specialty
    ) -> FundingResult[Any, Any]:
        """What would pay for a session, or every reason why nothing does."""
        terms = SessionTerms(starts_at=starts_at, length_minutes=length_minutes, modality=modality, specialty=specialty)
        book = self.book
        return fund(terms, book.enrolments, book.lots.values(), self._simulation.now, overdue=bool(book.overdue))

    def enrol(self, plan_id: str) -> None:
        """Covers the member from today on, in place of what covered them before (PLAN-1)."""
        now, book = self._simulation.now, self.book
        today, days = local_day(now, self._time_zone), _COVERED_DAYS.get(plan_id)
        ends_on = None if days is None else today + days * _DAY
        result = enrol(book, EnrolmentRequest(plan_id, today, ends_on, self._time_zone), now)
        cause = self._simulation.begin()
        unit: Any = Unit(self._simulation, cause)
        publish_ended(unit, book, result.ended, day_before(today))
        book.enrolment_sequence += 1
        self._simulation.publish(enrolled_event(result.enrolment), sequence=book.enrolment_sequence, cause=cause)
        self.close(cause)

    def end_coverage(self, cause: Cause) -> None:
        """The member was erased: coverage ends with the day, and credits lapse then (NOTE-5)."""
        now = self._simulation.now
        unit: Any = Unit(self._simulation, cause)
        for ended in end_coverage(self.book, now):
            publish_ended(unit, self.book, [ended], local_day(now, ended.time_zone))
        self.close(cause)

    def buy(self, length_minutes: int, then: Callable[[], None]) -> None:
        """The member buys a credit, and pays some minutes later (CRED-6). `then` is called soon after."""
        bought = purchase(self.book, new_id(), 1, length_minutes, self._simulation.now)
        if isinstance(bought, Purchase):
            delay = self._simulation.between(_HOUR / 60, _HOUR / 8)
            self._simulation.after(delay, lambda: self._bought(bought, then))

    def close(self, cause: Cause) -> None:
        """Publishes what changed in the book, and plans when credits next arrive or lapse."""
        book, now = self.book, self._simulation.now
        self._invoices.update(book.changed_invoices)
        unit: Any = Unit(self._simulation, cause, self._hear)
        publish_changes(unit, book, cause)
        for lot in book.changed_lots.values():
            lot.stored = True
        book.lots = {
            lot.id: lot
            for lot in book.lots.values()
            if lot.available or lot.held or lot.expires_at is None or lot.expires_at > now
        }
        for changes in (book.entries, book.changed_lots, book.changed_enrolments, book.changed_invoices):
            changes.clear()
        if book.next_due is not None and book.next_due != self._due:
            self._due = due = book.next_due
            self._simulation.at(due, lambda: self._credits_due(due))

    def _hear(self, event: Event, cause: Cause) -> None:
        """What follows from an event of the ledger."""
        simulation = self._simulation
        match event:
            case CreditReturned() if tells_of_return(event):
                self._messages.tell(self._parties, (CREDIT_RETURNED,), event.session_id, cause)
            case InvoiceIssued():
                self._messages.tell(self._parties, (INVOICE_ISSUED,), event.session_id, cause)
                invoice = self._invoices[event.invoice_id]
                assert invoice.overdue_at is not None
                if simulation.chance(_PAID_IN_TIME):
                    simulation.after(simulation.between(_HOUR, 13 * _DAY), lambda: self._pay(invoice))
                simulation.at(invoice.overdue_at, lambda: self._fall_overdue(invoice))
            case InvoiceOverdue():
                self._messages.tell(self._parties, (INVOICE_OVERDUE,), event.session_id, cause)
                invoice = self._invoices[event.invoice_id]
                if simulation.chance(_PAID_LATE):
                    simulation.after(simulation.between(_DAY, 30 * _DAY), lambda: self._pay(invoice))

    def _bought(self, bought: Purchase, then: Callable[[], None]) -> None:
        paid(self.book, bought, self._simulation.now)
        self.close(self._simulation.begin())
        self._simulation.after(_HOUR / 30, then)

    def _credits_due(self, due: datetime) -> None:
        if self.book.next_due == due:
            self._due = None
            catch_up(self.book, self._simulation.now)
            self.close(self._simulation.begin())

    def _pay(self, invoice: Invoice) -> None:
        if pay(self.book, invoice):
            self.close(self._simulation.begin())
        self._invoices.pop(invoice.id, None)

    def _fall_overdue(self, invoice: Invoice) -> None:
        if fall_overdue(self.book, invoice, self._simulation.now):
            self.close(self._simulation.begin())
