"""Holds that were added for moves, in addition to the sessions' own, and after a move those that they replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from makegood_chassis.database import UnitOfWork
from makegood_chassis.statements import Statement, any_of, arrays, batch
from sqlalchemy import ColumnElement, Select, bindparam, select, true, update
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.domain.book import Book
from makegood_credits.domain.holding import Hold
from makegood_credits.store import holds as hold_store
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store.tables import constant, move_holds, texts

_M: Final = move_holds.c
_HELD: Final = _M.state == constant("held")

_KNOWN = Statement(select(*texts([_M.move_id])).where(any_of(_M.move_id)))
_MEMBERS = Statement(select(_M.member_id).distinct().where(any_of(_M.move_id)))

_ADDED: Final = [each for each in _M if each.key not in ("move_id", "firm")]
_NEW: Final = batch("new", (_M.move_id, *_ADDED))
_ADD = Statement(insert(move_holds).from_select(_NEW.c.keys(), select(_NEW)))

_CLOSED: Final = batch("new", (_M.move_id, _M.session_id, _M.member_id))
_CLOSE = Statement(
    insert(move_holds)
    .from_select([*_CLOSED.c.keys(), "state"], select(_CLOSED, bindparam("state", type_=_M.state.type)))
    .on_conflict_do_nothing()
)
_MAKE_FIRM = Statement(update(move_holds).values(firm=true()).where(any_of(_M.move_id), _HELD))


def _held(condition: ColumnElement[bool]) -> Select[Any]:
    columns = (*hold_store.hold_columns(move_holds), *texts([_M.move_id]))
    found = select(*columns).select_from(hold_store.with_charge_and_lot(move_holds)).where(_HELD, condition)
    return found.order_by(_M.move_id).with_for_update(of=move_holds)


_BY_MOVE = Statement(_held(any_of(_M.move_id)))
_BY_SESSION = Statement(_held(any_of(_M.session_id)))

_SAVED: Final = (_M.id, _M.plan_id, _M.state, _M.lot_id, _M.invoice_id)
_CHANGED: Final = batch("new", (_M.move_id, *_SAVED))
_SAVE = Statement(
    update(move_holds).values({each: _CHANGED.c[each.key] for each in _SAVED}).where(_M.move_id == _CHANGED.c.move_id)
)


async def known(unit: UnitOfWork, moves: Sequence[str]) -> set[str]:
    """The moves that were answered before, or are over."""
    return {row[0] for row in await unit.fetch(_KNOWN(move_id=moves))}


async def add(unit: UnitOfWork, holds: Mapping[str, Hold]) -> None:
    """Move → the hold that was added for it, with its pending charge."""
    if not holds:
        return
    added = list(holds.values())
    await invoice_store.insert_new(unit, [hold.invoice for hold in added if hold.invoice is not None])
    await unit.execute(_ADD(move_id=list(holds), **arrays(_ADDED, added)))


async def remember(
    unit: UnitOfWork, moves: Mapping[str, tuple[str, str]], state: Literal["kept", "refused", "ended"]
) -> None:
    """Saves move → (session, member), so that nothing is ever added for it again."""
    if moves:
        sessions, members = zip(*moves.values(), strict=True)
        await unit.execute(_CLOSE(move_id=list(moves), session_id=list(sessions), member_id=list(members), state=state))


async def make_firm(unit: UnitOfWork, moves: Sequence[str]) -> None:
    """Marks the moves as funded, so that what was added for them no longer lapses (AVAIL-4)."""
    await unit.execute(_MAKE_FIRM(move_id=moves))


async def members_of(unit: UnitOfWork, moves: Sequence[str]) -> list[str]:
    """The members whose sessions these moves are about."""
    return [row[0] for row in await unit.fetch(_MEMBERS(move_id=moves))]


async def by_move(unit: UnitOfWork, moves: Sequence[str], books: Mapping[str, Book]) -> dict[str, Hold]:
    """Move → what was added for it and is still held, locked. The members' accounts must already be locked."""
    return {row[-1]: hold_store.hold_of(row[:-1], books) for row in await unit.fetch(_BY_MOVE(move_id=moves))}


async def by_session(unit: UnitOfWork, sessions: Sequence[str], books: Mapping[str, Book]) -> dict[str, Hold]:
    """As `by_move`, for all moves of these sessions."""
    rows = await unit.fetch(_BY_SESSION(session_id=sessions))
    return {row[-1]: hold_store.hold_of(row[:-1], books) for row in rows}


async def save(unit: UnitOfWork, holds: Mapping[str, Hold]) -> None:
    """Saves move → its hold: the added one after it was settled, or the one that it replaced."""
    if holds:
        await unit.execute(_SAVE(move_id=list(holds), **arrays(_SAVED, holds.values())))
