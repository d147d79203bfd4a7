"""Holds that were added for moves, beside the sessions' own; and, after a move, those that they took the place of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from makegood_chassis.database import UnitOfWork, column

from makegood_credits.domain.book import Book
from makegood_credits.domain.holding import Hold
from makegood_credits.store import holds as hold_store
from makegood_credits.store import invoices as invoice_store

_KNOWN = "SELECT move_id::text FROM move_holds WHERE move_id = ANY($1::uuid[])"

_ADD = """
INSERT INTO move_holds (
    move_id, session_id, id, member_id, plan_id, state, hold_until, lot_id, invoice_id, length_minutes, guarantee)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::uuid[], $9::uuid[],
    $10::int[], $11::jsonb[])
"""
_CLOSE = """
INSERT INTO move_holds (move_id, session_id, member_id, state)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING
"""
_FIRM = "UPDATE move_holds SET firm = true WHERE move_id = ANY($1::uuid[]) AND state = 'held'"

_SELECT = f"""
SELECT {hold_store.COLUMNS}, holds.move_id::text
FROM move_holds AS holds LEFT JOIN invoices ON invoices.id = holds.invoice_id LEFT JOIN lots ON lots.id = holds.lot_id
WHERE holds.state = 'held' AND """  # noqa: S608
_BY_MOVE = _SELECT + "holds.move_id = ANY($1::uuid[]) ORDER BY holds.move_id FOR UPDATE OF holds"
_BY_SESSION = _SELECT + "holds.session_id = ANY($1::uuid[]) ORDER BY holds.move_id FOR UPDATE OF holds"
_MEMBERS = "SELECT DISTINCT member_id FROM move_holds WHERE move_id = ANY($1::uuid[])"

_SAVE = """
UPDATE move_holds SET id = new.id, plan_id = new.plan_id, state = new.state, lot_id = new.lot_id, invoice_id = new.invoice_id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[])
    AS new (move_id, id, plan_id, state, lot_id, invoice_id)
WHERE move_holds.move_id = new.move_id
"""


async def known(unit: UnitOfWork, moves: Sequence[str]) -> set[str]:
    """Those of the moves that were answered before, or are over."""
    return {row[0] for row in await unit.fetch(_KNOWN, moves)}


async def add(unit: UnitOfWork, holds: Mapping[str, Hold]) -> None:
    """Move → the hold that was added for it, with its pending charge."""
    if not holds:
        return
    added = list(holds.values())
    await invoice_store.insert(unit, [hold.invoice for hold in added if hold.invoice is not None])
    await unit.execute(
        _ADD,
        list(holds),
        column(added, "session_id"),
        column(added, "id"),
        column(added, "member_id"),
        column(added, "plan_id"),
        column(added, "state"),
        column(added, "hold_until"),
        column(added, "lot_id"),
        [hold.invoice.id if hold.invoice else None for hold in added],
        column(added, "length_minutes"),
        hold_store.guarantees_of(added),
    )


async def remember(unit: UnitOfWork, moves: Mapping[str, tuple[str, str]], state: str) -> None:
    """Keeps move → (session, member) as `kept`, `refused` or `ended`, so that nothing is ever added for it again."""
    if moves:
        sessions, members = zip(*moves.values(), strict=True)
        await unit.execute(_CLOSE, list(moves), list(sessions), list(members), [state] * len(moves))


async def make_firm(unit: UnitOfWork, moves: Sequence[str]) -> None:
    """The moves are funded: what was added for them does not lapse any more (AVAIL-4)."""
    await unit.execute(_FIRM, moves)


async def members_of(unit: UnitOfWork, moves: Sequence[str]) -> list[str]:
    """Whose moves these are."""
    return [row[0] for row in await unit.fetch(_MEMBERS, moves)]


async def by_move(unit: UnitOfWork, moves: Sequence[str], books: Mapping[str, Book]) -> dict[str, Hold]:
    """Move → what was added for it and is still held, locked; the members' accounts must be locked before."""
    return {row[-1]: hold_store.hold_of(row, books) for row in await unit.fetch(_BY_MOVE, moves)}


async def by_session(unit: UnitOfWork, sessions: Sequence[str], books: Mapping[str, Book]) -> dict[str, Hold]:
    """As `by_move`, for all moves of these sessions."""
    return {row[-1]: hold_store.hold_of(row, books) for row in await unit.fetch(_BY_SESSION, sessions)}


async def save(unit: UnitOfWork, holds: Mapping[str, Hold]) -> None:
    """Move → the hold that its row keeps from now on: the added one as it was settled, or the one whose place it took."""
    if not holds:
        return
    kept = list(holds.values())
    await unit.execute(
        _SAVE,
        list(holds),
        column(kept, "id"),
        column(kept, "plan_id"),
        column(kept, "state"),
        column(kept, "lot_id"),
        [hold.invoice.id if hold.invoice else None for hold in kept],
    )
