"""Holds and their pending charges, set by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from makegood_chassis.database import Row, UnitOfWork, column

from makegood_credits.domain.book import Book, Guarantee
from makegood_credits.domain.holding import Hold
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store.books import LOT, lot_of

_KNOWN = "SELECT session_id::text FROM holds WHERE session_id = ANY($1::uuid[])"
_MEMBERS = "SELECT session_id::text, member_id FROM holds WHERE session_id = ANY($1::uuid[])"

_INSERT = """
INSERT INTO holds (session_id, id, member_id, plan_id, state, hold_until, lot_id, invoice_id, starts_at, ends_at,
    length_minutes, co_pay_due_days, guarantee)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[], $8::uuid[],
    $9::timestamptz[], $10::timestamptz[], $11::int[], $12::int[], $13::jsonb[])
"""

_CLOSE = """
INSERT INTO holds (session_id, member_id, state)
SELECT session_id, member_id, $3 FROM unnest($1::uuid[], $2::text[]) AS new (session_id, member_id)
ORDER BY session_id
ON CONFLICT DO NOTHING
"""

COLUMNS = f"""holds.session_id::text, holds.id::text, holds.member_id, holds.plan_id, holds.state, holds.hold_until,
    holds.lot_id::text, holds.firm, holds.length_minutes, holds.guarantee, {invoice_store.COLUMNS}, {LOT}"""
"""A hold with its charge and its lot, as `hold_of` reads them."""
_LENGTH, _GUARANTEE, _INVOICE_FROM, _LOT_FROM, _LOT_TO = 8, 9, 10, 20, 33

_BY_SESSION = f"""
SELECT {COLUMNS}, holds.answers, holds.moving, holds.extended, holds.by_hand, holds.starts_at, holds.ends_at,
    holds.co_pay_due_days
FROM holds LEFT JOIN invoices ON invoices.id = holds.invoice_id LEFT JOIN lots ON lots.id = holds.lot_id
WHERE holds.session_id = ANY($1::uuid[]) ORDER BY holds.session_id FOR UPDATE OF holds
"""  # noqa: S608

_LAPSED = """
SELECT session_id::text, member_id FROM holds
WHERE hold_until > $1 AND hold_until <= $2 AND state = 'held' AND NOT firm LIMIT $3
"""

_SETTLE = """
UPDATE holds SET state = new.state
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (session_id, state, before)
WHERE holds.session_id = new.session_id AND holds.state = new.before
"""

_CONFIRM = """
WITH kept AS (
    SELECT session_id FROM holds WHERE session_id = ANY($1::uuid[]) AND state = 'held' AND NOT firm
    ORDER BY session_id FOR UPDATE
)
UPDATE holds SET firm = true FROM kept WHERE holds.session_id = kept.session_id
"""

_REPLACE = """
UPDATE holds SET id = new.id, plan_id = new.plan_id, state = new.state, firm = new.firm, lot_id = new.lot_id,
    invoice_id = new.invoice_id, guarantee = new.guarantee
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::uuid[], $7::uuid[], $8::jsonb[])
    AS new (session_id, id, plan_id, state, firm, lot_id, invoice_id, guarantee)
WHERE holds.session_id = new.session_id
"""

_MARK = """
UPDATE holds SET answers = new.answers, moving = new.moving, extended = new.extended
FROM unnest($1::uuid[], $2::int[], $3::boolean[], $4::boolean[]) AS new (session_id, answers, moving, extended)
WHERE holds.session_id = new.session_id
"""

_TAKE_TIMES = """
UPDATE holds SET starts_at = new.starts_at, ends_at = new.ends_at, length_minutes = new.length_minutes,
   guarantee = new.guarantee
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::int[], $5::jsonb[])
    AS new (session_id, starts_at, ends_at, length_minutes, guarantee)
WHERE holds.session_id = new.session_id
"""


class SettledTwice(Exception):
    """A hold was settled by somebody else although its account was locked: a bug, never a state of the data."""


async def known(unit: UnitOfWork, sessions: Sequence[str]) -> set[str]:
    """Those of the sessions that were answered before, or are over."""
    return {row[0] for row in await unit.fetch(_KNOWN, sessions)}


async def members_of(unit: UnitOfWork, sessions: Sequence[str]) -> dict[str, str]:
    """Session → the member it is held for, of those that are known; it never changes."""
    return {row[0]: row[1] for row in await unit.fetch(_MEMBERS, sessions)}


async def insert(unit: UnitOfWork, holds: Sequence[Hold]) -> None:
    """New holds, and the pending charges of those that are co-pays."""
    if not holds:
        return
    await invoice_store.insert(unit, [hold.invoice for hold in holds if hold.invoice is not None])
    await unit.execute(
        _INSERT,
        column(holds, "session_id"),
        column(holds, "id"),
        column(holds, "member_id"),
        column(holds, "plan_id"),
        column(holds, "state"),
        column(holds, "hold_until"),
        column(holds, "lot_id"),
        [hold.invoice.id if hold.invoice else None for hold in holds],
        column(holds, "starts_at"),
        column(holds, "ends_at"),
        column(holds, "length_minutes"),
        column(holds, "co_pay_due_days"),
        guarantees_of(holds),
    )


async def remember(unit: UnitOfWork, sessions: Mapping[str, str], state: str) -> None:
    """Keeps session → member as `refused` or `ended`, so that nothing is ever held for it again."""
    if sessions:
        await unit.execute(_CLOSE, list(sessions), list(sessions.values()), state)


async def by_session(unit: UnitOfWork, sessions: Sequence[str], books: Mapping[str, Book]) -> dict[str, Hold]:
    """The sessions' holds, locked, and their lots in the books of their members, which must be locked before."""
    holds = {}
    for row in await unit.fetch(_BY_SESSION, sessions):
        hold = holds[row[0]] = hold_of(row, books)
        hold.answers, hold.moving, hold.extended, hold.by_hand, *times, hold.co_pay_due_days = tuple(row)[_LOT_TO:]
        hold.starts_at, hold.ends_at = times
    return holds


def hold_of(row: Row, books: Mapping[str, Book]) -> Hold:
    """The hold in COLUMNS of a row; its lot goes into its member's book."""
    book, lot_id = books.get(row[2]), row[_LOT_FROM]
    if book is not None and lot_id is not None and lot_id not in book.lots:
        lot = book.lots[lot_id] = lot_of(row[_LOT_FROM:_LOT_TO])
        lot.stored = True
    invoice = None if row[_INVOICE_FROM] is None else invoice_store.invoice_of(row, _INVOICE_FROM)
    hold = Hold(row[0], row[1], row[2], row[3], row[4], row[5], row[6], invoice, row[7], length_minutes=row[_LENGTH])
    if row[_GUARANTEE] is not None:
        hold.guarantee = msgspec.convert(row[_GUARANTEE], Guarantee)
    return hold


def guarantees_of(holds: Sequence[Hold]) -> list[object]:
    """What the holds took along of their credits (MISS-4), as the database keeps it."""
    return [None if hold.guarantee is None else msgspec.to_builtins(hold.guarantee) for hold in holds]


async def lapsed(unit: UnitOfWork, minutes: Sequence[datetime], most: int) -> dict[str, str]:
    """Session → member of holds that lapse in the minutes that end then and aren't firm, at most so many.

    They are not locked, so look again under the lock. Each minute is asked for by itself, with both its bounds, so that the
    block range index is of use however many holds there ever were.
    """
    found: dict[str, str] = {}
    for minute in minutes:
        if len(found) < most:
            rows = await unit.fetch(_LAPSED, minute - timedelta(minutes=1), minute, most - len(found))
            found.update((row[0], row[1]) for row in rows)
    return found


async def settle(unit: UnitOfWork, holds: Sequence[Hold], before: Sequence[str]) -> None:
    """CRED-3: writes the holds' states where they are still as before. Raises SettledTwice."""
    if not holds:
        return
    done = await unit.execute(_SETTLE, column(holds, "session_id"), column(holds, "state"), list(before))
    if done != f"UPDATE {len(holds)}":
        raise SettledTwice(f"{len(holds)} holds to settle, {done}")


async def mark_by_hand(unit: UnitOfWork, hold: Hold) -> None:
    """MISS-5: support gave the credit back, and no corrected outcome takes it away again."""
    await unit.execute("UPDATE holds SET by_hand = true WHERE session_id = $1", hold.session_id)


async def make_firm(unit: UnitOfWork, sessions: Sequence[str]) -> None:
    """The sessions are reserved: their holds don't lapse any more (AVAIL-4)."""
    await unit.execute(_CONFIRM, sessions)


async def replace(unit: UnitOfWork, holds: Sequence[Hold]) -> None:
    """RESC-1: other holds took the place of those that the sessions had."""
    if holds:
        await unit.execute(
            _REPLACE,
            column(holds, "session_id"),
            column(holds, "id"),
            column(holds, "plan_id"),
            column(holds, "state"),
            column(holds, "firm"),
            column(holds, "lot_id"),
            [hold.invoice.id if hold.invoice else None for hold in holds],
            guarantees_of(holds),
        )


async def take_times(unit: UnitOfWork, holds: Sequence[Hold]) -> None:
    """Writes when the sessions are now, how long, and what is guaranteed of what is held: they were moved."""
    if holds:
        await unit.execute(
            _TAKE_TIMES,
            column(holds, "session_id"),
            column(holds, "starts_at"),
            column(holds, "ends_at"),
            column(holds, "length_minutes"),
            guarantees_of(holds),
        )


async def mark(unit: UnitOfWork, holds: Sequence[Hold]) -> None:
    """Writes how much was said about the sessions, and whether they were to be moved or are extended."""
    if holds:
        await unit.execute(
            _MARK,
            column(holds, "session_id"),
            column(holds, "answers"),
            column(holds, "moving"),
            column(holds, "extended"),
        )
