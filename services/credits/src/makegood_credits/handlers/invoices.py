"""Charges: for extensions, voided ones, and overdue ones (EXT-1, MISS-3, CRED-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import SessionExtended, SettleCause
from makegood_plans.plans import Money

from makegood_credits.domain.invoices import (
    Invoice,
    charge,
    extension,
    fall_overdue,
    issue_again,
    void,
    void_for_good,
)
from makegood_credits.domain.plausibility import charge_implausibility
from makegood_credits.handlers.ledger import Books, ledger
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import invoices as invoice_store


async def on_session_extended(batch: Sequence[Received[SessionExtended]], unit: UnitOfWork) -> None:
    """Charges what the provider asks for the extension (EXT-1).

    The invoice has the extension's id, so that no extension is charged twice.
    """
    charged: dict[str, tuple[Invoice, Cause]] = {}
    asking = [received for received in batch if received.event.invoice is not None]
    members = await hold_store.members_of(unit, [received.event.session_id for received in asking]) if asking else {}
    for received in asking:
        event, terms = received.event, received.event.invoice
        if (why := charge_implausibility(event, members.get(event.session_id))) is not None:
            unit.refuse(received.id, why)
        elif terms is not None:
            amount = Money(terms.amount_minor, terms.currency)
            invoice = extension(event.move_id, event.member_id, event.session_id, amount, terms.due_on, event.time_zone)
            charged[invoice.id] = (invoice, received.cause)
    if not charged:
        return
    invoices = [invoice for invoice, _ in charged.values()]
    async with ledger(unit, (invoice.member_id for invoice in invoices), book_store.open_and_lock) as books:
        holds = await hold_store.by_session(unit, [invoice.session_id for invoice in invoices], books)
        new = await invoice_store.insert_new(unit, invoices)
        for invoice, cause in charged.values():
            if invoice.id in new:
                charge(books.of(invoice.member_id, cause), invoice)
        for hold in holds.values():
            hold.extended = True
        await hold_store.mark(unit, list(holds.values()))


async def on_invoice_overdue(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """Marks charges as overdue if they were not paid by the end of their due day. They block booking (BOOK-7, CRED-7)."""
    ids = [due.entity_id for due in batch]
    async with ledger(unit, await invoice_store.members_of(unit, ids), book_store.lock) as books:
        for invoice in (await invoice_store.by_id(unit, ids)).values():
            fall_overdue(books[invoice.member_id], invoice, unit.now)


async def void_extensions(unit: UnitOfWork, books: Books, sessions: Mapping[str, tuple[Cause, SettleCause]]) -> None:
    """Voids the extensions of sessions whose credit was returned (MISS-3). What was paid is refunded."""
    for invoice in await invoice_store.extensions(unit, list(sessions)):
        cause, settled_by = sessions[invoice.session_id]
        void(books.of(invoice.member_id, cause), invoice, settled_by)


async def drop_extensions(unit: UnitOfWork, books: Books, sessions: Mapping[str, tuple[Cause, str]]) -> None:
    """Voids the extensions of sessions that were moved to another length, permanently (EXT-1). What was paid is
    refunded. `sessions`: the cause, and who moved the session.
    """
    if not sessions:
        return
    dropped = []
    for invoice in await invoice_store.extensions(unit, list(sessions)):
        cause, moved_by = sessions[invoice.session_id]
        if void_for_good(books.of(invoice.member_id, cause), invoice, moved_by, "moved"):
            dropped.append(invoice)
    await invoice_store.keep_dropped(unit, dropped)


async def issue_extensions_again(unit: UnitOfWork, books: Books, session_id: str) -> None:
    """Charges a session's extensions again, like its co-pay, because it was not missed after all (MISS-5)."""
    for invoice in await invoice_store.extensions(unit, [session_id]):
        issue_again(books[invoice.member_id], invoice, unit.now)
