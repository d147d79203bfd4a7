"""What members see: balances with their lots, the ledger, invoices."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row
from makegood_chassis.statements import MOMENT, Statement
from sqlalchemy import BigInteger, Integer, Text, bindparam, case, cast, func, or_, select, true

from makegood_credits.domain.balance import Balance, balance_of
from makegood_credits.domain.book import AVAILABLE, EXPIRED, Lot
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.enrolling import Lapse
from makegood_credits.store.books import ENROLMENT, IN_USE, LOT_WITHOUT_GUARANTEES, enrolment_of
from makegood_credits.store.payments import latest_refund
from makegood_credits.store.personal_data import BY_HAND, reason_of
from makegood_credits.store.tables import (
    accounts,
    constant,
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

_ENROLMENTS = Statement(select(*ENROLMENT).where(_E.member_id == _MEMBER))
_LOTS_IN_USE: Final = (
    select(func.row(*LOT_WITHOUT_GUARANTEES))
    .where(_L.member_id == _MEMBER, IN_USE)
    .order_by(_L.expires_at.asc().nulls_last(), _L.id)
)
_ENROLMENTS_NOT_OVER: Final = select(func.row(*ENROLMENT)).where(
    _E.member_id == _MEMBER, or_(_E.covers_until.is_(None), _E.covers_until > bindparam("now", type_=MOMENT))
)
_BALANCE = Statement(
    select(func.array(_LOTS_IN_USE.scalar_subquery()), func.array(_ENROLMENTS_NOT_OVER.scalar_subquery()))
)
_VERSION = Statement(select(accounts.c.enrolment_sequence).where(accounts.c.member_id == _MEMBER))

_ENTRIES = Statement(
    select(
        *texts((_J.id, _J.kind, _J.amount)),
        cast(func.coalesce(_J.credit_lot, _J.debit_lot), Text()).label("lot_id"),
        *texts((_J.session_id, _J.reason, _J.made_by, _J.made_at, _J.available_after, _J.held_after)),
        *(_J.debit_account, _J.credit_account, _J.number),
        case((_J.reason == constant(BY_HAND), reason_of("entry", _J.id))).label("written"),
    )
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
    found = await queries.fetch_one(_BALANCE(member=member, now=now))
    assert found is not None
    lots_in_use, not_over = found
    return balance_of((Lot(*row) for row in lots_in_use), (enrolment_of(row) for row in not_over), now)


async def enrolments_of(queries: Queries, member: str) -> tuple[list[Enrolment], int]:
    """All enrolments of the member, and their common version (BOOK-3)."""
    found = [enrolment_of(row) for row in await queries.fetch(_ENROLMENTS(member=member))]
    return found, await queries.fetch_value(_VERSION(member=member)) or 0


async def entries_of(queries: Queries, member: str, before: int | None, limit: int) -> list[Row]:
    """The member's entries, newest first, below the number `before`, each with what support wrote about it (`open_reasons`)."""
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
