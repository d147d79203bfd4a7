"""What members see: balances with their lots, the ledger, invoices."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row
from makegood_chassis.statements import Statement
from sqlalchemy import BigInteger, Integer, Text, bindparam, or_, select, true

from makegood_credits.domain.balance import Balance, balance_of
from makegood_credits.domain.book import AVAILABLE, EXPIRED
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.enrolling import Lapse
from makegood_credits.store.books import ENROLMENT, IN_USE, LOT, enrolment_of, lot_of
from makegood_credits.store.payments import latest_refund
from makegood_credits.store.tables import (
    accounts,
    enrolments,
    invoices,
    ledger_entries,
    lots,
    refunds,
    texts,
)

_L: Final = lots.c
_E: Final = enrolments.c
_I: Final = invoices.c
_J: Final = ledger_entries.c
_MEMBER: Final = bindparam("member", type_=Text())
_BEFORE: Final = bindparam("before", type_=BigInteger)
_LIMIT: Final = bindparam("limit", type_=Integer())
_NEWEST: Final = 2**63 - 1
"""Above every number."""

_LOTS = Statement(select(*LOT).where(_L.member_id == _MEMBER, IN_USE).order_by(_L.expires_at.asc().nulls_last(), _L.id))
_ENROLMENTS = Statement(select(*ENROLMENT).where(_E.member_id == _MEMBER))
_ENROLMENTS_NOT_OVER = Statement(
    select(*ENROLMENT).where(
        _E.member_id == _MEMBER, or_(_E.covers_until.is_(None), _E.covers_until > bindparam("now"))
    )
)
_VERSION = Statement(select(accounts.c.enrolment_sequence).where(accounts.c.member_id == _MEMBER))

_ENTRIES = Statement(
    select(*texts(each for each in _J if each.key not in ("member_id", "hold_id")))
    .where(_J.member_id == _MEMBER, _J.number < _BEFORE)
    .order_by(_J.number.desc())
    .limit(_LIMIT)
)
_CAME_BACK_TO = Statement(f"""
SELECT credit_lot::text FROM ledger_entries
WHERE member_id = :member AND hold_id = :hold AND credit_account = '{AVAILABLE}' ORDER BY number DESC LIMIT 1
""")  # noqa: S608 (a constant)
_LAPSES = Statement(f"""
SELECT coalesce(debit_lot, credit_lot)::text, CASE WHEN debit_lot IS NULL THEN -amount ELSE amount END, made_at
FROM ledger_entries
WHERE member_id = :member AND made_at >= :since AND '{EXPIRED.name}' IN (debit_account, credit_account)
""")  # noqa: S608 (a constant)

_REFUND: Final = latest_refund(refunds.c.invoice_id == _I.id)
_CHARGES: Final = (
    select(*(each for each in _I if each.key not in ("overdue_at", "voided_by")), *_REFUND.c)
    .select_from(invoices.outerjoin(_REFUND, true()))
    .where(_I.member_id == _MEMBER)
)
_INVOICES = Statement(_CHARGES.where(_I.number < _BEFORE).order_by(_I.number.desc()).limit(_LIMIT))
_INVOICE = Statement(_CHARGES.where(_I.id == bindparam("invoice")))

_IMBALANCES = "SELECT what, id FROM ledger_imbalances"


async def balance(queries: Queries, member: str, now: datetime) -> Balance:
    """Available, held and unusable credits of the member. Lots that lapse first come first (CRED-4)."""
    covered = [enrolment_of(row) for row in await queries.fetch(_ENROLMENTS_NOT_OVER(member=member, now=now))]
    return balance_of((lot_of(row) for row in await queries.fetch(_LOTS(member=member))), covered, now)


async def enrolments_of(queries: Queries, member: str) -> tuple[list[Enrolment], int]:
    """All enrolments of the member, and their common version (BOOK-3)."""
    found = [enrolment_of(row) for row in await queries.fetch(_ENROLMENTS(member=member))]
    return found, await queries.fetch_value(_VERSION(member=member)) or 0


async def entries_of(queries: Queries, member: str, before: int | None, limit: int) -> list[Row]:
    """The member's entries, newest first, below the number `before`."""
    return await queries.fetch(_ENTRIES(member=member, before=_NEWEST if before is None else before, limit=limit))


async def invoices_of(queries: Queries, member: str, before: int | None, limit: int) -> list[Row]:
    """The member's invoices, newest first, below the number `before`, each with its latest refund."""
    return await queries.fetch(_INVOICES(member=member, before=_NEWEST if before is None else before, limit=limit))


async def invoice(queries: Queries, member: str, invoice_id: str) -> Row | None:
    """One of the member's invoices."""
    return await queries.fetch_one(_INVOICE(member=member, invoice=invoice_id))


async def came_back_to(queries: Queries, member: str, hold_id: str) -> str | None:
    """The lot to which a hold's credit last returned. None if it never did (MISS-5)."""
    found: str | None = await queries.fetch_value(_CAME_BACK_TO(member=member, hold=hold_id))
    return found


async def lapses_since(queries: Queries, member: str, moment: datetime) -> list[Lapse]:
    """What lapsed of the member's lots, and what was restored of that (PLAN-1)."""
    return [Lapse(*row) for row in await queries.fetch(_LAPSES(member=member, since=moment))]


async def imbalances(queries: Queries) -> list[tuple[str, str]]:
    """Balances that differ from the sum of all their entries. Empty if all are right (CRED-1)."""
    return [(row[0], row[1]) for row in await queries.fetch(_IMBALANCES)]
