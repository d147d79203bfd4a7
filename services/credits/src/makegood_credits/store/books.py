"""Members' books: locked, loaded and saved with one statement a table, however many members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import msgspec
from makegood_chassis.database import UnitOfWork, column

from makegood_credits.domain.book import Book, Guarantee, Lot
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.holding import Hold
from makegood_credits.domain.plans import PLANS

_OPEN_ACCOUNTS = "INSERT INTO accounts (member_id) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING"

_LOCK_ACCOUNTS = """
SELECT member_id, available, held, entry_count, ledger_sequence, enrolment_sequence, next_due, overdue
FROM accounts WHERE member_id = ANY($1::text[]) ORDER BY member_id FOR UPDATE
"""

LOT = """lots.id::text, lots.member_id, lots.source, lots.length_minutes, lots.expires_at, lots.enrolment_id::text, lots.period,
    lots.granted, lots.available, lots.held, lots.made_for_minutes, lots.made_under, lots.guarantees"""
"""A lot, in the order of its fields, as `lot_of` reads it."""

_LOTS_TO_TAKE_FROM = f"SELECT {LOT} FROM lots WHERE member_id = ANY($1::text[]) AND available > 0"  # noqa: S608
_LOTS_IN_USE = f"SELECT {LOT} FROM lots WHERE member_id = ANY($1::text[]) AND (available > 0 OR held > 0)"  # noqa: S608

_LOTS_OF_PLANS = f"SELECT {LOT} FROM lots WHERE member_id = $1 AND enrolment_id IS NOT NULL"  # noqa: S608
_LOTS = f"SELECT {LOT} FROM lots WHERE id = ANY($1::uuid[])"  # noqa: S608

ENROLMENT = """
SELECT id::text, member_id, plan_id, starts_on, ends_on, time_zone, covers_from, covers_until, next_period, next_grant,
    replaced_at, resumed_on
FROM enrolments
"""
_ENROLMENTS = ENROLMENT + "WHERE member_id = ANY($1::text[])"
_ENROLMENTS_THAT_COUNT = (
    _ENROLMENTS + " AND (covers_until IS NULL OR covers_until > $2 OR next_grant IS NOT NULL) ORDER BY id"
)

_OPEN_LOTS = """
INSERT INTO lots (
    id, member_id, source, length_minutes, expires_at, enrolment_id, period, granted, available, held, made_for_minutes,
    made_under, guarantees)
SELECT id, member_id, source, length_minutes, expires_at, enrolment_id, period, granted, available, held, made_for_minutes,
    made_under, guarantees::jsonb
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::uuid[], $7::int[], $8::int[], $9::int[],
    $10::int[], $11::int[], $12::text[], $13::text[])
    AS new (id, member_id, source, length_minutes, expires_at, enrolment_id, period, granted, available, held,
        made_for_minutes, made_under, guarantees)
"""

_SAVE = """
WITH books AS (
    UPDATE accounts SET available = new.available, held = new.held, entry_count = new.entry_count,
        ledger_sequence = new.ledger_sequence, enrolment_sequence = new.enrolment_sequence, next_due = new.next_due,
        overdue = new.overdue
    FROM unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[], $28::int[])
        AS new (member_id, available, held, entry_count, ledger_sequence, enrolment_sequence, next_due, overdue)
    WHERE accounts.member_id = new.member_id
), moved AS (
    UPDATE lots SET available = new.available, held = new.held, expires_at = new.expires_at,
        guarantees = new.guarantees::jsonb
    FROM unnest($8::uuid[], $9::int[], $10::int[], $11::timestamptz[], $29::text[])
        AS new (id, available, held, expires_at, guarantees)
    WHERE lots.id = new.id
)
INSERT INTO ledger_entries (
    id, member_id, number, kind, amount, debit_account, debit_lot, credit_account, credit_lot, session_id, hold_id,
    reason, made_by, made_at, available_after, held_after)
SELECT * FROM unnest(
    $12::uuid[], $13::text[], $14::bigint[], $15::text[], $16::int[], $17::text[], $18::uuid[], $19::text[],
    $20::uuid[], $21::uuid[], $22::uuid[], $23::text[], $24::text[], $25::timestamptz[], $26::int[], $27::int[])
"""
_ENTRY_COLUMNS = 16

_SAVE_ENROLMENTS = """
INSERT INTO enrolments (
    id, member_id, plan_id, starts_on, ends_on, time_zone, covers_from, covers_until, next_period, next_grant,
    replaced_at, resumed_on)
SELECT * FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::date[], $5::date[], $6::text[], $7::timestamptz[], $8::timestamptz[],
    $9::int[], $10::timestamptz[], $11::timestamptz[], $12::date[])
ON CONFLICT (id) DO UPDATE SET ends_on = excluded.ends_on, covers_until = excluded.covers_until,
    next_period = excluded.next_period, next_grant = excluded.next_grant, replaced_at = excluded.replaced_at,
    resumed_on = excluded.resumed_on
"""


async def lock(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """The members' accounts, locked in one order everywhere; a member without one has an empty book that isn't saved."""
    wanted = set(members)
    books = {member: Book(member) for member in wanted}
    for member, *counts in await unit.fetch(_LOCK_ACCOUNTS, list(wanted)):
        books[member] = Book(member, *counts)
        books[member].loaded = books[member].counts
    return books


async def load(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """The locked books with what a hold and the passing of time need: lots with credits left, enrolments that count."""
    books = await lock(unit, members)
    known = [member for member, book in books.items() if book.loaded is not None]
    if known:
        _add_lots(books, await unit.fetch(_LOTS_TO_TAKE_FROM, known))
        for row in await unit.fetch(_ENROLMENTS_THAT_COUNT, known, unit.now):
            _add_enrolment(books, row)
    return books


async def open_whole(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """As `open_and_lock`, with all lots in use and all enrolments."""
    books = await open_and_lock(unit, members)
    _add_lots(books, await unit.fetch(_LOTS_IN_USE, list(books)))
    for row in await unit.fetch(_ENROLMENTS + " ORDER BY id", list(books)):
        _add_enrolment(books, row)
    return books


async def add_lots_of_plans(unit: UnitOfWork, book: Book) -> None:
    """Loads all that the member's plans ever granted into the locked book: what is used up may come back (MISS-5)."""
    _add_lots({book.member_id: book}, await unit.fetch(_LOTS_OF_PLANS, book.member_id))


async def open_and_lock(unit: UnitOfWork, members: Iterable[str]) -> dict[str, Book]:
    """As `lock`; who has no account gets one."""
    wanted = sorted(set(members))
    await unit.execute(_OPEN_ACCOUNTS, wanted)
    return await lock(unit, wanted)


async def add_lots(unit: UnitOfWork, books: dict[str, Book], lot_ids: Iterable[str]) -> None:
    """Loads these lots into the locked books of their members."""
    _add_lots(books, await unit.fetch(_LOTS, list(lot_ids)))


async def add_coverage(unit: UnitOfWork, books: Mapping[str, Book], holds: Iterable[Hold]) -> None:
    """Loads the enrolments that say where these holds' credits return to: those of members whose credit is of no plan."""
    asked = {
        hold.member_id
        for hold in holds
        if hold.lot_id is not None
        and (book := books.get(hold.member_id)) is not None
        and book.lots[hold.lot_id].enrolment_id is None
        and not book.enrolments
    }
    wanted = sorted(asked)
    if wanted:
        for row in await unit.fetch(_ENROLMENTS_THAT_COUNT, wanted, unit.now):
            _add_enrolment(books, row)


def enrolment_of(
    enrolment_id: str,
    member_id: str,
    plan_id: str,
    starts_on: date,
    ends_on: date | None,
    time_zone: str,
    covers_from: datetime,
    covers_until: datetime | None,
    *grants: Any,
) -> Enrolment:
    """The enrolment in the columns of ENROLMENT."""
    plan = PLANS[plan_id]
    return Enrolment(plan, starts_on, ends_on, time_zone, covers_from, covers_until, enrolment_id, member_id, *grants)


def _add_enrolment(books: Mapping[str, Book], row: Iterable[Any]) -> None:
    enrolment = enrolment_of(*row)
    books[enrolment.member_id].enrolments.append(enrolment)


def lot_of(row: Iterable[object]) -> Lot:
    """The lot in the columns of LOT."""
    *fields, guarantees = row
    lot = Lot(*fields)  # type: ignore[arg-type]
    if guarantees:
        lot.guarantees = msgspec.convert(guarantees, tuple[Guarantee, ...])
    return lot


def _add_lots(books: dict[str, Book], rows: Iterable[Iterable[object]]) -> None:
    for row in rows:
        lot = lot_of(row)
        lot.stored = True
        books[lot.member_id].lots.setdefault(lot.id, lot)


async def save(unit: UnitOfWork, books: Iterable[Book]) -> None:
    """Writes what changed in the books. Accounts, lots and entries go in one statement."""
    changed = sorted(
        (book for book in books if book.loaded is not None and book.loaded != book.counts),
        key=lambda book: book.member_id,
    )
    enrolments = [each for book in changed for each in book.changed_enrolments.values()]
    if enrolments:
        await _save_enrolments(unit, enrolments)
    lots = [lot for book in changed for lot in book.changed_lots.values()]
    new = [lot for lot in lots if not lot.stored]
    if new:
        await _open_lots(unit, new)
    known = [lot for lot in lots if lot.stored]
    entries = [entry for book in changed for entry in book.entries]
    columns = list(zip(*entries, strict=True))[:_ENTRY_COLUMNS] if entries else [()] * _ENTRY_COLUMNS
    if changed:
        await unit.execute(
            _SAVE,
            *_columns(changed, "member_id", "available", "held", "entry_count"),
            *_columns(changed, "ledger_sequence", "enrolment_sequence", "next_due"),
            *_columns(known, "id", "available", "held", "expires_at"),
            *columns,
            column(changed, "overdue"),
            _guarantees(known),
        )
    for lot in new:
        lot.stored = True
    for book in changed:
        book.entries, book.changed_lots, book.changed_enrolments = [], {}, {}
        book.loaded = book.counts


async def _open_lots(unit: UnitOfWork, lots: list[Lot]) -> None:
    await unit.execute(
        _OPEN_LOTS,
        *_columns(lots, "id", "member_id", "source", "length_minutes", "expires_at"),
        *_columns(lots, "enrolment_id", "period", "granted", "available", "held", "made_for_minutes", "made_under"),
        _guarantees(lots),
    )


def _guarantees(lots: Iterable[Lot]) -> list[str | None]:
    return [msgspec.json.encode(lot.guarantees).decode() if lot.guarantees else None for lot in lots]


async def _save_enrolments(unit: UnitOfWork, enrolments: list[Enrolment]) -> None:
    await unit.execute(
        _SAVE_ENROLMENTS,
        *_columns(enrolments, "id", "member_id", "plan_id", "starts_on", "ends_on", "time_zone"),
        *_columns(enrolments, "covers_from", "covers_until", "next_period", "next_grant", "replaced_at", "resumed_on"),
    )


def _columns(rows: Iterable[object], *names: str) -> list[list[object]]:
    rows = list(rows)
    return [column(rows, name) for name in names]
