"""Charges: opened with what they are for, moved from status to status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import Row, UnitOfWork, column
from makegood_plans.plans import Money

from makegood_credits.domain.invoices import Invoice
from makegood_credits.store.personal_data import BY_HAND, keep_reason

COLUMNS = """invoices.id::text, invoices.member_id, invoices.session_id::text, invoices.status, invoices.amount_minor,
    invoices.currency, invoices.due_on, invoices.overdue_at, invoices.about, invoices.voided_by"""

_OPEN = """
INSERT INTO invoices (id, member_id, session_id, status, amount_minor, currency, due_on, overdue_at, about)
SELECT * FROM unnest(
    $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::date[], $8::timestamptz[], $9::text[])
ON CONFLICT DO NOTHING RETURNING id::text
"""

_MOVE = """
UPDATE invoices SET status = new.status, due_on = new.due_on, overdue_at = new.overdue_at
FROM unnest($1::uuid[], $2::text[], $3::date[], $4::timestamptz[]) AS new (id, status, due_on, overdue_at)
WHERE invoices.id = new.id
"""

_BY_ID = f"SELECT {COLUMNS} FROM invoices WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"  # noqa: S608
_EXTENSIONS = f"""
SELECT {COLUMNS} FROM invoices WHERE session_id = ANY($1::uuid[]) AND about = 'extension' ORDER BY id FOR UPDATE
"""  # noqa: S608
DROPPED: Final = "The session was moved to another length, so it is not extended any more."
_MEMBERS = "SELECT DISTINCT member_id FROM invoices WHERE id = ANY($1::uuid[])"


async def insert(unit: UnitOfWork, invoices: Sequence[Invoice]) -> set[str]:
    """New charges; answers the ids of those that were not there before."""
    if not invoices:
        return set()
    rows = await unit.fetch(
        _OPEN,
        column(invoices, "id"),
        column(invoices, "member_id"),
        column(invoices, "session_id"),
        column(invoices, "status"),
        [invoice.amount.amount_minor for invoice in invoices],
        [invoice.amount.currency for invoice in invoices],
        column(invoices, "due_on"),
        column(invoices, "overdue_at"),
        column(invoices, "about"),
    )
    return {row[0] for row in rows}


async def save(unit: UnitOfWork, invoices: Sequence[Invoice]) -> None:
    """Writes what changed of charges whose members' accounts are locked: whoever changes one locks the account first."""
    if invoices:
        await unit.execute(
            _MOVE,
            column(invoices, "id"),
            column(invoices, "status"),
            column(invoices, "due_on"),
            column(invoices, "overdue_at"),
        )


async def keep_void(unit: UnitOfWork, invoice: Invoice, reason: str) -> None:
    """Who of support voided the charge, and why."""
    await unit.execute(
        "UPDATE invoices SET voided_by = $2, void_reason = $3 WHERE id = $1", invoice.id, invoice.voided_by, BY_HAND
    )
    await keep_reason(unit, "invoice", invoice.member_id, [invoice.id], reason)


async def keep_dropped(unit: UnitOfWork, invoices: Sequence[Invoice]) -> None:
    """Whose move of the session made the charges void, and that it did."""
    if invoices:
        await unit.execute(
            "UPDATE invoices SET voided_by = told.voided_by, void_reason = $3 "
            "FROM unnest($1::uuid[], $2::text[]) AS told (id, voided_by) WHERE invoices.id = told.id",
            column(invoices, "id"),
            column(invoices, "voided_by"),
            DROPPED,
        )


async def members_of(unit: UnitOfWork, ids: Sequence[str]) -> list[str]:
    """Whose charges these are."""
    return [row[0] for row in await unit.fetch(_MEMBERS, ids)]


async def by_id(unit: UnitOfWork, ids: Sequence[str]) -> dict[str, Invoice]:
    """The charges, locked. Their members' accounts must be locked before."""
    return {row[0]: invoice_of(row) for row in await unit.fetch(_BY_ID, ids)}


async def extensions(unit: UnitOfWork, sessions: Sequence[str]) -> list[Invoice]:
    """What the sessions' extensions cost, locked."""
    return [invoice_of(row) for row in await unit.fetch(_EXTENSIONS, sessions)]


def invoice_of(row: Row, start: int = 0) -> Invoice:
    """The charge in COLUMNS of a row, from that place on."""
    id_, member, session, status, amount, currency, *rest = tuple(row)[start : start + 10]
    return Invoice(id_, member, session, status, Money(amount, currency), *rest)
