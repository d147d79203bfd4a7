"""Moves of slot holds: each is the update of a single row, which the exclusion constraints judge (AVAIL-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import asyncpg
from makegood_chassis.database import UnitOfWork
from makegood_chassis.statements import MOMENT, Statement, as_text, batch
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from makegood_availability.domain.moves import SlotHold, Target
from makegood_availability.store.tables import slot_moves

_ASKED: Final = batch("asked", (slot_moves.c.move_id, slot_moves.c.session_id))
_CLAIM = Statement(
    insert(slot_moves)
    .from_select(slot_moves.c.keys(), select(*_ASKED.c, bindparam("now", type_=MOMENT)).order_by(_ASKED.c.move_id))
    .on_conflict_do_nothing()
    .returning(as_text(slot_moves.c.move_id))
)
_LOCK = Statement("""
SELECT session_id::text, provider_id, member_id, venue_id, starts_at, ends_at, live, lower(blocked) AS blocked_from,
       upper(blocked) AS blocked_until
FROM slot_holds WHERE session_id = ANY(CAST(:session_id AS uuid[])) ORDER BY slot_holds.session_id FOR UPDATE
""")
# Two moves into each other's slots would wait for each other in a circle. So all moves that could conflict take turns: those of one
# provider, one member, one venue. New holds do not take turns, because they rarely wait for two things at once.
_TAKE_TURNS = Statement(
    "SELECT pg_advisory_xact_lock(key) FROM ("
    "SELECT DISTINCT hashtextextended(name, 7) AS key FROM unnest(CAST(:names AS text[])) AS name ORDER BY key) AS keys"
)
_MOVE = Statement("""
UPDATE slot_holds SET starts_at = :starts_at, ends_at = :ends_at, venue_id = :venue_id,
    blocked = tstzrange(:blocked_from, :blocked_until), sequence = sequence + 1
WHERE session_id = :session_id AND live RETURNING sequence
""")
_STAY = Statement("UPDATE slot_holds SET sequence = sequence + 1 WHERE session_id = :session_id RETURNING sequence")


async def claim(unit: UnitOfWork, moves: Mapping[str, str]) -> set[str]:
    """The moves (id → session) that were never answered. They count as answered once the unit commits (BOOK-9)."""
    rows = await unit.fetch(_CLAIM(move_id=list(moves), session_id=list(moves.values()), now=unit.now))
    return {row["move_id"] for row in rows}


async def lock(unit: UnitOfWork, session_ids: Iterable[str]) -> dict[str, SlotHold]:
    """The holds of these sessions, including ended ones, locked in a fixed order."""
    rows = await unit.fetch(_LOCK(session_id=sorted(session_ids)))
    return {row["session_id"]: _hold(**row) for row in rows}


def _hold(blocked_from: datetime, blocked_until: datetime, **fields: Any) -> SlotHold:
    return SlotHold(blocked=(blocked_from, blocked_until), **fields)


async def take_turns(unit: UnitOfWork, holds: Iterable[SlotHold], venue_ids: Iterable[str]) -> None:
    """Waits until no other move of these providers, members and venues is running, and makes later ones wait."""
    names = {f"venue {venue_id}" for venue_id in venue_ids}
    for hold in holds:
        names |= {f"provider {hold.provider_id}", f"member {hold.member_id}"}
        if hold.venue_id is not None:
            names.add(f"venue {hold.venue_id}")
    await unit.fetch(_TAKE_TURNS(names=sorted(names)))


async def move(unit: UnitOfWork, session_id: str, target: Target) -> int | None:
    """Moves the hold to its target. Returns the sequence of the event about it. None if there is a conflict."""
    statement = _MOVE(
        session_id=session_id,
        starts_at=target.starts_at,
        ends_at=target.ends_at,
        venue_id=target.venue_id,
        blocked_from=target.blocked[0],
        blocked_until=target.blocked[1],
    )
    try:
        async with unit.savepoint():
            return int(await unit.fetch_value(statement))
    except asyncpg.ExclusionViolationError:
        return None


async def stay(unit: UnitOfWork, session_id: str) -> int:
    """Leaves the hold where it is. Returns the sequence of the event that says so: 1 for a session without a hold."""
    return await unit.fetch_value(_STAY(session_id=session_id)) or 1
