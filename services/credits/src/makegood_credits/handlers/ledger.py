"""Members' books in one unit of work: locked and loaded at its start, published and saved at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeAlias

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause

from makegood_credits.domain.book import Book
from makegood_credits.domain.invoices import InvoiceChange
from makegood_credits.handlers.deadlines import set_due
from makegood_credits.handlers.publishing import publish_changes
from makegood_credits.store import books as book_store
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store import refunds as refund_store

Load: TypeAlias = Callable[[UnitOfWork, Iterable[str]], Awaitable[dict[str, Book]]]


class Books(dict[str, Book]):
    """The locked books, by member."""

    def __init__(self, unit: UnitOfWork, books: dict[str, Book]) -> None:
        super().__init__(books)
        self._unit = unit
        self._due_before = {member: book.next_due for member, book in books.items()}
        self._causes: dict[str, Cause] = {}
        self._not_charged: list[str] = []

    def of(self, member: str, cause: Cause) -> Book:
        """The member's book. Entries made from now on have this cause."""
        self.publish(member)
        self._causes[member] = cause
        return self[member]

    async def close(self) -> None:
        """Publishes what has not been published yet, saves what changed, and sets the deadlines."""
        for member in self:
            self.publish(member)
        charges = [invoice for book in self.values() for invoice in book.changed_invoices.values()]
        book_store.save(self._unit, self.values())
        await invoice_store.save(self._unit, charges)
        await refund_store.owe(self._unit, self._not_charged)
        for member, book in self.items():
            set_due(self._unit, member, self._due_before[member], book.next_due)

    def publish(self, member: str) -> None:
        """Publishes the entries in the member's book so far, before an event that follows from them."""
        book = self[member]
        if book.unpublished or book.former_expiries:
            changes = (change for change in book.unpublished if isinstance(change, InvoiceChange))
            self._not_charged += [change.invoice.id for change in changes if change.refunds]
            publish_changes(self._unit, book, self._causes.get(member, self._unit.cause))


@asynccontextmanager
async def ledger(unit: UnitOfWork, members: Iterable[str], load: Load = book_store.load) -> AsyncIterator[Books]:
    """The members' books, locked and loaded. At the end of the block, changes are published and saved.

    `load` says how much of the books is needed; see `store/books.py`. A block that raises saves nothing.
    """
    books = Books(unit, await load(unit, members))
    yield books
    await books.close()
