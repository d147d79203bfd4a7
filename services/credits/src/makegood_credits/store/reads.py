"""What members see: balances with their lots, the ledger, invoices."""

from __future__ import annotations

from datetime import datetime

from makegood_chassis.database import Queries, Row
from sqlalchemy import select

from makegood_credits.domain.balance import Balance, balance_of
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.enrolling import Lapse
from makegood_credits.store.books import ENROLMENT, LOT, enrolment_of, lot_of
from makegood_credits.store.tables import ledger_entries

_LOTS_IN_USE = f"""
SELECT {LOT} FROM lots WHERE member_id = $1 AND (available > 0 OR held > 0) ORDER BY expires_at NULLS LAST, id
"""  # noqa: S608
_ENROLMENTS = f"{ENROLMENT} WHERE member_id = $1 AND (covers_until IS NULL OR covers_until > $2)"

_CAME_BACK_TO = """
SELECT credit_lot::text FROM ledger_entries
WHERE member_id = $1 AND hold_id = $2 AND credit_account = 'member:available' ORDER BY number DESC LIMIT 1
"""

_LAPSES = """
SELECT coalesce(debit_lot, credit_lot)::text, CASE WHEN debit_lot IS NULL THEN -amount ELSE amount END, made_at
FROM ledger_entries WHERE member_id = $1 AND made_at >= $2 AND 'platform:expired' IN (debit_account, credit_account)
"""

_INVOICES = """
SELECT invoices.id, number, member_id, session_id, status, invoices.amount_minor, invoices.currency, due_on, about, void_reason,
    refund.state AS refund, refund.amount_minor AS refund_minor, refund.currency AS refund_currency
FROM invoices LEFT JOIN LATERAL (
    SELECT state, amount_minor, currency FROM refunds WHERE invoice_id = invoices.id ORDER BY owed_at DESC, id DESC LIMIT 1
) AS refund ON true
WHERE member_id = $1
"""

_IMBALANCES = "SELECT what, id FROM ledger_imbalances"


async def balance(queries: Queries, member: str, now: datetime) -> Balance:
    """CRED-4: what the member can book with, what is held, what is of no use now; lots that lapse first come first."""
    enrolments = [enrolment_of(*row) for row in await queries.fetch(_ENROLMENTS, member, now)]
    return balance_of((lot_of(row) for row in await queries.fetch(_LOTS_IN_USE, member)), enrolments, now)


async def enrolments_of(queries: Queries, member: str) -> tuple[list[Enrolment], int]:
    """BOOK-3: all enrolments of the member, and the version that they have together."""
    found = [enrolment_of(*row) for row in await queries.fetch(f"{ENROLMENT} WHERE member_id = $1", member)]
    version = await queries.fetch_value("SELECT enrolment_sequence FROM accounts WHERE member_id = $1", member)
    return found, version or 0


async def entries_of(queries: Queries, member: str, before: int | None, limit: int) -> list[Row]:
    """The member's entries, newest first, from below the number `before`."""
    table = ledger_entries
    statement = select(table).where(table.c.member_id == member).order_by(table.c.number.desc()).limit(limit)
    if before is not None:
        statement = statement.where(table.c.number < before)
    return await queries.fetch(statement)


async def invoices_of(queries: Queries, member: str, before: int | None, limit: int) -> list[Row]:
    """The member's invoices, newest first, from below the number `before`, each with its latest refund."""
    if before is None:
        return await queries.fetch(f"{_INVOICES} ORDER BY number DESC LIMIT $2", member, limit)
    return await queries.fetch(f"{_INVOICES} AND number < $3 ORDER BY number DESC LIMIT $2", member, limit, before)


async def invoice(queries: Queries, member: str, invoice_id: str) -> Row | None:
    """One invoice of the member's."""
    return await queries.fetch_one(f"{_INVOICES} AND invoices.id = $2", member, invoice_id)


async def came_back_to(queries: Queries, member: str, hold_id: str) -> str | None:
    """MISS-5: the lot in which a hold's credit arrived when it last came back; None where it never did."""
    found: str | None = await queries.fetch_value(_CAME_BACK_TO, member, hold_id)
    return found


async def lapses_since(queries: Queries, member: str, moment: datetime) -> list[Lapse]:
    """PLAN-1: what lapsed of the member's lots, and what of that came back."""
    return [Lapse(*row) for row in await queries.fetch(_LAPSES, member, moment)]


async def imbalances(queries: Queries) -> list[tuple[str, str]]:
    """CRED-1: balances that differ from the sum of their entries, rebuilt from all of them; empty where all is well."""
    return [(row[0], row[1]) for row in await queries.fetch(_IMBALANCES)]
