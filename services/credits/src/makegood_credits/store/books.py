"""Members' books: locked, loaded and saved with one statement per table, for any number of members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from makegood_chassis.database import UnitOfWork
from makegood_chassis.statements import Statement, any_of, arrays, batch
from sqlalchemy import ColumnElement, Text, bindparam, cast, column, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from makegood_credits.domain.book import Book, Guarantee, Lot
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.holding import Hold
from makegood_credits.domain.plans import PLANS
from makegood_credits.store.tables import (
    accounts,
    enrolments,
    ledger_entries,
    lots,
    named_arrays,
    named_batch,
    texts,
)

_NONE: Final[ColumnElement[int]] = literal_column("0")
_A: Final = accounts.c
_L: Final = lots.c
_E: Final = enrolments.c

LOT: Final = texts(_L)
"""A lot, as `lot_of` reads it."""
LOT_WITHOUT_GUARANTEES: Final = texts(each for each in _L if each.key != "guarantees")
"""The first fields of a `Lot`, in order."""
ENROLMENT: Final = texts(_E)
"""An enrolment, as `enrolment_of` reads it."""

_OPENED: Final = batch("new", (_A.member_id,))
_OPEN_ACCOUNTS = Statement(insert(accounts).from_select(["member_id"], select(_OPENED)).on_conflict_do_nothing())
_LOCK_ACCOUNTS = Statement(select(*_A).where(any_of(_A.member_id)).order_by(_A.member_id).with_for_update())

_LOTS_TO_TAKE_FROM = Statement(select(*LOT).where(any_of(_L.member_id), _L.available > _NONE))
IN_USE: Final = or_(_L.available > _NONE, _L.held > _NONE)
_LOTS_IN_USE = Statement(select(*LOT).where(any_of(_L.member_id), IN_USE))
_LOTS_OF_PLANS = Statement(select(*LOT).where(any_of(_L.member_id), _L.enrolment_id.is_not(None)))
_LOTS = Statement(select(*LOT).where(any_of(_L.id)))

_ENROLMENTS = Statement(select(*ENROLMENT).where(any_of(_E.member_id)).order_by(_E.id))
_ENROLMENTS_THAT_COUNT = Statement(
    select(*ENROLMENT)
    .where(
        any_of(_E.member_id),
        or_(_E.covers_until.is_(None), _E.covers_until > bindparam("now"), _E.next_grant.is_not(None)),
    )
    .order_by(_E.id)
)

_JSON: Final = column("guarantees", Text)
"""Lists are passed as texts, because in an array of `jsonb` a list would be another dimension."""
_LOT_WITHOUT_JSON: Final = [each for each in _L if each.key != "guarantees"]
_NEW_LOTS: Final = batch("new", (*_LOT_WITHOUT_JSON, _JSON))
_OPEN_LOTS = Statement(
    insert(lots).from_select(
        _NEW_LOTS.c.keys(),
        select(*(_NEW_LOTS.c[each.key] for each in _LOT_WITHOUT_JSON), cast(_NEW_LOTS.c.guarantees, JSONB)),
    )
)

_ACCOUNT: Final = named_batch("account", list(_A))
_MOVED: Final = (_L.id, _L.available, _L.held, _L.expires_at)
_LOT: Final = named_batch("lot", (*_MOVED, _JSON))
_ENTRY: Final = named_batch("entry", list(ledger_entries.c))
_SAVE_ACCOUNTS: Final = (
    update(accounts)
    .values({each: _ACCOUNT.c[f"account_{each.key}"] for each in _A if each is not _A.member_id})
    .where(_A.member_id == _ACCOUNT.c.account_member_id)
)
_SAVE_LOTS: Final = (
    update(lots)
    .values(
        {
            **{each: _LOT.c[f"lot_{each.key}"] for each in _MOVED if each is not _L.id},
            _L.guarantees: cast(_LOT.c.lot_guarantees, JSONB),
        }
    )
    .where(_L.id == _LOT.c.lot_id)
)
_SAVE = Statement(
    insert(ledger_entries)
    .from_select(ledger_entries.c.keys(), select(_ENTRY))
    .add_cte(_SAVE_ACCOUNTS.cte("saved_accounts"), _SAVE_LOTS.cte("saved_lots"))
)

_CHANGED_ENROLMENTS: Final = batch("new", _E)
_UPSERT_ENROLMENTS: Final = insert(enrolments).from_select(_E.keys(), select(_CHANGED_ENROLMENTS))
_CHANGING: Final = ("ends_on", "covers_until", "next_period", "next_grant", "replaced_at", "resumed_on")
_SAVE_ENROLMENTS = Statement(
    _UPSERT_ENROLMENTS.on_conflict_do_update(
        index_elements=[_E.id], set_={key: _UPSERT_ENROLMENTS.excluded[key] for key in _CHANGING}
    )
)


async def lock(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """The members' accounts, locked in the order that every caller uses. A member without an account gets an empty
    book, which is not saved.
    """
    wanted = set(members)
    books = {member: Book(member) for member in wanted}
    for member, *counts in await unit.fetch(_LOCK_ACCOUNTS(member_id=list(wanted))):
        books[member] = Book(member, *counts)
        books[member].loaded = books[member].counts
    return books


async def load(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """The locked books with what holds and the passing of time need: lots with credits left, and current enrolments."""
    books = await lock(unit, members)
    known = [member for member, book in books.items() if book.loaded is not None]
    if known:
        put_lots(books, await unit.fetch(_LOTS_TO_TAKE_FROM(member_id=known)))
        _put_enrolments(books, await unit.fetch(_ENROLMENTS_THAT_COUNT(member_id=known, now=unit.now)))
    return books


async def open_and_lock(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """As `lock`, but creates missing accounts."""
    wanted = sorted(set(members))
    await unit.execute(_OPEN_ACCOUNTS(member_id=wanted))
    return await lock(unit, wanted)


async def open_whole(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """As `open_and_lock`, and loads all lots in use and all enrolments."""
    books = await open_and_lock(unit, members)
    put_lots(books, await unit.fetch(_LOTS_IN_USE(member_id=list(books))))
    _put_enrolments(books, await unit.fetch(_ENROLMENTS(member_id=list(books))))
    return books


async def add_lots_of_plans(unit: UnitOfWork, book: Book) -> None:
    """Loads all lots that the member's plans ever granted, because credits may return to used-up lots (MISS-5)."""
    put_lots({book.member_id: book}, await unit.fetch(_LOTS_OF_PLANS(member_id=[book.member_id])))


async def add_lot(unit: UnitOfWork, book: Book, lot_id: str) -> None:
    """Loads this lot into the locked book of its member."""
    put_lots({book.member_id: book}, await unit.fetch(_LOTS(id=[lot_id])))


async def add_coverage(unit: UnitOfWork, books: Mapping[str, Book], holds: Iterable[Hold]) -> None:
    """Loads the enrolments that decide where these holds' credits return to: those of members whose credit belongs to
    no plan.
    """
    asked = {
        hold.member_id
        for hold in holds
        if hold.lot_id is not None
        and (book := books.get(hold.member_id)) is not None
        and book.lots[hold.lot_id].enrolment_id is None
        and not book.enrolments
    }
    if asked:
        _put_enrolments(books, await unit.fetch(_ENROLMENTS_THAT_COUNT(member_id=sorted(asked), now=unit.now)))


def lot_of(row: Iterable[Any]) -> Lot:
    """The lot in LOT."""
    *fields, guarantees = row
    lot = Lot(*fields)
    if guarantees:
        lot.guarantees = msgspec.convert(guarantees, tuple[Guarantee, ...])
    return lot


def enrolment_of(row: Iterable[Any]) -> Enrolment:
    """The enrolment in ENROLMENT."""
    id_, member, plan_id, starts_on, ends_on, time_zone, covers_from, covers_until, *grants = row
    agreed = PLANS[plan_id], starts_on, ends_on, time_zone
    return Enrolment(*agreed, covers_from, covers_until, id_, member, *grants)


def put_lots(books: Mapping[str, Book], rows: Iterable[Iterable[Any]]) -> None:
    """Puts the lots in LOT into their members' books, unless they are there already."""
    for row in rows:
        lot = lot_of(row)
        lot.stored = True
        books[lot.member_id].lots.setdefault(lot.id, lot)


def _put_enrolments(books: Mapping[str, Book], rows: Iterable[Iterable[Any]]) -> None:
    for row in rows:
        enrolment = enrolment_of(row)
        books[enrolment.member_id].enrolments.append(enrolment)


def save(unit: UnitOfWork, books: Iterable[Book]) -> None:
    """Writes what changed in the books. Accounts, lots and entries go in one statement."""
    changed = sorted(
        (book for book in books if book.loaded is not None and book.loaded != book.counts),
        key=lambda book: book.member_id,
    )
    if not changed:
        return
    covered = [each for book in changed for each in book.changed_enrolments.values()]
    if covered:
        unit.defer(_SAVE_ENROLMENTS(**arrays(_E, covered)))
    touched = [lot for book in changed for lot in book.changed_lots.values()]
    new = [lot for lot in touched if not lot.stored]
    if new:
        unit.defer(_OPEN_LOTS(guarantees=_guarantees(new), **arrays(_LOT_WITHOUT_JSON, new)))
    known = [lot for lot in touched if lot.stored]
    entries = [entry for book in changed for entry in book.entries]
    unit.defer(
        _SAVE(
            **named_arrays("account", list(_A), changed),
            **named_arrays("lot", _MOVED, known),
            lot_guarantees=_guarantees(known),
            **named_arrays("entry", list(ledger_entries.c), entries),
        )
    )
    for lot in new:
        lot.stored = True
    for book in changed:
        book.entries, book.changed_lots, book.changed_enrolments = [], {}, {}
        book.loaded = book.counts


def _guarantees(of: Sequence[Lot]) -> list[str | None]:
    return [msgspec.json.encode(lot.guarantees).decode() if lot.guarantees else None for lot in of]
