"""Holds and their pending charges, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from makegood_chassis.database import Row, UnitOfWork
from makegood_chassis.statements import Statement, any_of, arrays, batch
from sqlalchemy import ColumnElement, Join, Table, Text, bindparam, column, select, true, update
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.domain.book import Book, Guarantee
from makegood_credits.domain.holding import Hold, HoldState
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store.books import LOT, put_lots
from makegood_credits.store.tables import constant, holds, invoices, lots, move_holds, texts

_H: Final = holds.c

_KNOWN = Statement(select(*texts([_H.session_id])).where(any_of(_H.session_id)))
_MEMBERS = Statement(select(*texts([_H.session_id]), _H.member_id).where(any_of(_H.session_id)))

_INSERTED: Final = [each for each in _H if each.key not in ("firm", "answers", "moving", "extended", "by_hand")]
_NEW: Final = batch("new", _INSERTED)
_INSERT = Statement(insert(holds).from_select(_NEW.c.keys(), select(_NEW)))

_CLOSED: Final = batch("new", (_H.session_id, _H.member_id))
_CLOSE = Statement(
    insert(holds)
    .from_select(
        ["session_id", "member_id", "state"],
        select(_CLOSED, bindparam("state", type_=_H.state.type)).order_by(_CLOSED.c.session_id),
    )
    .on_conflict_do_nothing()
)

OWN: Final = [key for key, _ in move_holds.c.items() if key not in ("move_id", "invoice_id")]
"""The fields of every hold, whether it is the session's own or was added for a move."""
_MORE: Final = [each for each in _H if each.key not in move_holds.c]
_INVOICE_FROM: Final = len(OWN)
_LOT_FROM: Final = _INVOICE_FROM + len(invoice_store.COLUMNS)
_LOT_TO: Final = _LOT_FROM + len(LOT)


def hold_columns(table: Table) -> list[ColumnElement[Any]]:
    """A hold with its charge and its lot, as `hold_of` reads them."""
    return [*texts(table.c[key] for key in OWN), *invoice_store.COLUMNS, *LOT]


def with_charge_and_lot(table: Table) -> Join:
    """The table of holds, joined with what they hold."""
    joined = table.outerjoin(invoices, invoices.c.id == table.c.invoice_id)
    return joined.outerjoin(lots, lots.c.id == table.c.lot_id)


_BY_SESSION = Statement(
    select(*hold_columns(holds), *_MORE)
    .select_from(with_charge_and_lot(holds))
    .where(any_of(_H.session_id))
    .order_by(_H.session_id)
    .with_for_update(of=holds)
)

_OPEN: Final = (_H.state == constant("held"), ~_H.firm)
_LAPSED = Statement(
    select(*texts([_H.session_id]), _H.member_id)
    .where(_H.hold_until > bindparam("after"), _H.hold_until <= bindparam("until"), *_OPEN)
    .limit(bindparam("most"))
)

_SETTLED: Final = batch("new", (_H.session_id, _H.state, column("before", Text)))
_SETTLE = Statement(
    update(holds)
    .values(state=_SETTLED.c.state)
    .where(_H.session_id == _SETTLED.c.session_id, _H.state == _SETTLED.c.before)
)

_LOCKED: Final = (
    select(_H.session_id).where(any_of(_H.session_id), *_OPEN).order_by(_H.session_id).with_for_update().cte("locked")
)
_MAKE_FIRM = Statement(update(holds).values(firm=true()).where(_H.session_id == _LOCKED.c.session_id))

_REPLACED: Final = (_H.session_id, _H.id, _H.plan_id, _H.state, _H.firm, _H.lot_id, _H.invoice_id, _H.guarantee)
_MARKED: Final = (_H.session_id, _H.answers, _H.moving, _H.extended)
_TIMES: Final = (_H.session_id, _H.starts_at, _H.ends_at, _H.length_minutes, _H.guarantee)


def _update(columns: Sequence[ColumnElement[Any]]) -> Statement:
    """Updates these columns. The first one is the session."""
    new = batch("new", columns)
    values = {each.key: each for each in new.c if each.key != "session_id"}
    return Statement(update(holds).values(values).where(_H.session_id == new.c.session_id))


_REPLACE, _MARK, _TAKE_TIMES = _update(_REPLACED), _update(_MARKED), _update(_TIMES)
_MARK_BY_HAND = Statement(update(holds).values(by_hand=true()).where(_H.session_id == bindparam("session")))


class SettledTwice(Exception):
    """A hold was settled by another transaction although its account was locked. This is a bug."""


async def known(unit: UnitOfWork, sessions: Sequence[str]) -> set[str]:
    """The sessions that were answered before, or are over."""
    return {row[0] for row in await unit.fetch(_KNOWN(session_id=sessions))}


async def members_of(unit: UnitOfWork, sessions: Sequence[str]) -> dict[str, str]:
    """Known sessions → the member for whom each is held, who never changes."""
    return {row[0]: row[1] for row in await unit.fetch(_MEMBERS(session_id=sessions))}


async def insert_new(unit: UnitOfWork, new: Sequence[Hold]) -> None:
    """Inserts holds, and the pending charges of co-pays."""
    if not new:
        return
    await invoice_store.insert_new(unit, [hold.invoice for hold in new if hold.invoice is not None])
    unit.defer(_INSERT(**arrays(_INSERTED, new)))


def remember(unit: UnitOfWork, sessions: Mapping[str, str], state: HoldState) -> None:
    """Saves session → member as `refused` or `ended`, so that nothing is ever held for it again."""
    if sessions:
        unit.defer(_CLOSE(session_id=list(sessions), member_id=list(sessions.values()), state=state))


async def by_session(unit: UnitOfWork, sessions: Sequence[str], books: Mapping[str, Book]) -> dict[str, Hold]:
    """Locks the sessions' holds and loads their lots into their members' books, which must already be locked."""
    return {row[0]: hold_of(row, books) for row in await unit.fetch(_BY_SESSION(session_id=sessions))}


def hold_of(row: Row | tuple[Any, ...], books: Mapping[str, Book]) -> Hold:
    """The hold in `hold_columns`, with its further columns if they follow. Adds its lot to its member's book."""
    hold = Hold(*row[:_INVOICE_FROM])
    invoice, lot = row[_INVOICE_FROM:_LOT_FROM], row[_LOT_FROM:_LOT_TO]
    if hold.guarantee is not None:
        hold.guarantee = msgspec.convert(hold.guarantee, Guarantee)
    if invoice[0] is not None:
        hold.invoice = invoice_store.invoice_of(invoice)
    for each, value in zip(_MORE, row[_LOT_TO:], strict=False):
        setattr(hold, each.key, value)
    if lot[0] is not None and hold.member_id in books:
        put_lots(books, [lot])
    return hold


async def lapsed(unit: UnitOfWork, minutes: Sequence[datetime], most: int) -> dict[str, str]:
    """Session → member, for at most `most` holds that are not firm and lapse in the minutes that end then. They are
    not locked, so check them again under the lock. Each minute is queried separately, with both bounds, so that the
    block range index helps however many holds there are.
    """
    found: dict[str, str] = {}
    for minute in minutes:
        if len(found) < most:
            asked = _LAPSED(after=minute - timedelta(minutes=1), until=minute, most=most - len(found))
            found.update((row[0], row[1]) for row in await unit.fetch(asked))
    return found


async def settle(unit: UnitOfWork, settled: Sequence[Hold], before: Sequence[HoldState]) -> None:
    """Saves the holds' states if they are still as before (CRED-3). Otherwise raises SettledTwice."""
    if not settled:
        return
    done = await unit.execute(_SETTLE(**arrays((_H.session_id, _H.state), settled), before=list(before)))
    if done != f"UPDATE {len(settled)}":
        raise SettledTwice(f"{len(settled)} holds to settle, {done}")


async def mark_by_hand(unit: UnitOfWork, hold: Hold) -> None:
    """Records that support returned the credit, so that no corrected outcome takes it away again (MISS-5)."""
    await unit.execute(_MARK_BY_HAND(session=hold.session_id))


def make_firm(unit: UnitOfWork, sessions: Sequence[str]) -> None:
    """Makes the holds of reserved sessions firm, so that they no longer lapse (AVAIL-4)."""
    unit.defer(_MAKE_FIRM(session_id=sessions))


async def replace(unit: UnitOfWork, changed: Sequence[Hold]) -> None:
    """Replaces the holds of moved sessions (RESC-1)."""
    if changed:
        await unit.execute(_REPLACE(**arrays(_REPLACED, changed)))


async def take_times(unit: UnitOfWork, moved: Sequence[Hold]) -> None:
    """Saves the new times, lengths and guarantees of moved sessions."""
    if moved:
        await unit.execute(_TAKE_TIMES(**arrays(_TIMES, moved)))


async def mark(unit: UnitOfWork, marked: Sequence[Hold]) -> None:
    """Saves the sequence numbers of the sessions, and whether they are being moved or were extended."""
    if marked:
        await unit.execute(_MARK(**arrays(_MARKED, marked)))
