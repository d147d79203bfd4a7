"""Charges: their creation and their changes of status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.statements import Statement, any_of, arrays, batch
from makegood_plans.plans import Money
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.domain.invoices import Invoice
from makegood_credits.store.personal_data import BY_HAND, keep_reason
from makegood_credits.store.tables import constant, invoices, texts

DROPPED: Final = "The session was moved to another length, so it is not extended any more."

_I: Final = invoices.c
_OPENED: Final = [each for each in _I if each.key not in ("voided_by", "void_reason", "number")]
COLUMNS: Final = texts([*_OPENED, _I.voided_by])
"""A charge, as `invoice_of` reads it."""

_NEW: Final = batch("new", _OPENED)
_INSERT = Statement(
    insert(invoices).from_select(_NEW.c.keys(), select(_NEW)).on_conflict_do_nothing().returning(*texts([_I.id]))
)

_CHANGED: Final = batch("new", (_I.id, _I.status, _I.due_on, _I.overdue_at))
_SAVE = Statement(
    update(invoices)
    .values(status=_CHANGED.c.status, due_on=_CHANGED.c.due_on, overdue_at=_CHANGED.c.overdue_at)
    .where(_I.id == _CHANGED.c.id)
)

_BY_ID = Statement(select(*COLUMNS).where(any_of(_I.id)).order_by(_I.id).with_for_update())
_EXTENSIONS = Statement(
    select(*COLUMNS).where(any_of(_I.session_id), _I.about == constant("extension")).order_by(_I.id).with_for_update()
)
_MEMBERS = Statement(select(_I.member_id).distinct().where(any_of(_I.id)))

_KEEP_VOID = Statement(
    update(invoices)
    .values(voided_by=bindparam("by"), void_reason=bindparam("reason"))
    .where(_I.id == bindparam("invoice_id"))
)
_DROPPED: Final = batch("new", (_I.id, _I.voided_by))
_KEEP_DROPPED = Statement(
    update(invoices).values(voided_by=_DROPPED.c.voided_by, void_reason=DROPPED).where(_I.id == _DROPPED.c.id)
)


async def insert_new(unit: UnitOfWork, charges: Sequence[Invoice]) -> set[str]:
    """Inserts charges. Returns the ids of those that did not exist before."""
    if not charges:
        return set()
    plain = [each for each in _OPENED if each.key not in ("amount_minor", "currency")]
    amounts = {
        "amount_minor": [charge.amount.amount_minor for charge in charges],
        "currency": [charge.amount.currency for charge in charges],
    }
    return {row[0] for row in await unit.fetch(_INSERT(**arrays(plain, charges), **amounts))}


async def save(unit: UnitOfWork, charges: Sequence[Invoice]) -> None:
    """Saves changed charges. Whoever changes a charge must lock the member's account first."""
    if charges:
        await unit.execute(_SAVE(**arrays((_I.id, _I.status, _I.due_on, _I.overdue_at), charges)))


async def keep_void(unit: UnitOfWork, invoice: Invoice, reason: str) -> None:
    """Saves which support agent voided the charge, and why."""
    await unit.execute(_KEEP_VOID(by=invoice.voided_by, reason=BY_HAND, invoice_id=invoice.id))
    await keep_reason(unit, "invoice", invoice.member_id, [invoice.id], reason)


async def keep_dropped(unit: UnitOfWork, charges: Sequence[Invoice]) -> None:
    """Records that a move of the session made the charges void, and whose move it was."""
    if charges:
        await unit.execute(_KEEP_DROPPED(**arrays((_I.id, _I.voided_by), charges)))


async def members_of(unit: UnitOfWork, ids: Sequence[str]) -> list[str]:
    """The members whose charges these are."""
    return [row[0] for row in await unit.fetch(_MEMBERS(id=ids))]


async def by_id(unit: UnitOfWork, ids: Sequence[str]) -> dict[str, Invoice]:
    """The charges, locked. Their members' accounts must be locked before."""
    return {row[0]: invoice_of(row) for row in await unit.fetch(_BY_ID(id=ids))}


async def extensions(unit: UnitOfWork, sessions: Sequence[str]) -> list[Invoice]:
    """The charges for the sessions' extensions, locked."""
    return [invoice_of(row) for row in await unit.fetch(_EXTENSIONS(session_id=sessions))]


def invoice_of(row: Iterable[Any]) -> Invoice:
    """The charge in COLUMNS."""
    id_, member, session, status, amount, currency, *rest = row
    return Invoice(id_, member, session, status, Money(amount, currency), *rest)
