"""Moves of slot holds: from one place to the other in a single row's update, which the exclusion constraints judge (AVAIL-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import asyncpg
from makegood_chassis.database import UnitOfWork

from makegood_availability.domain.moves import Standing, Target

_CLAIM = """
INSERT INTO slot_moves (move_id, session_id, decided_at)
SELECT move_id, session_id, $3 FROM unnest($1::uuid[], $2::uuid[]) AS asked (move_id, session_id)
ORDER BY move_id
ON CONFLICT DO NOTHING
RETURNING move_id::text
"""
_STANDING = """
SELECT session_id::text, provider_id, member_id, venue_id, starts_at, ends_at, lower(blocked), upper(blocked), live
FROM slot_holds WHERE session_id = ANY($1::uuid[]) ORDER BY session_id FOR UPDATE
"""
# Two moves into each other's slots would wait for each other in a ring. So all that could meet take turns: the moves of one
# provider, one member, one venue. New holds take no turn; they never wait for two things at once in the usual case.
_TURNS = """
SELECT pg_advisory_xact_lock(key)
FROM (SELECT DISTINCT hashtextextended(name, 7) AS key FROM unnest($1::text[]) AS name ORDER BY key) AS keys
"""
_MOVE = """
UPDATE slot_holds
SET starts_at = $2, ends_at = $3, venue_id = $4, blocked = tstzrange($5, $6), sequence = sequence + 1
WHERE session_id = $1 AND live
RETURNING sequence
"""
_STAY = "UPDATE slot_holds SET sequence = sequence + 1 WHERE session_id = $1 RETURNING sequence"


async def claim(unit: UnitOfWork, moves: Mapping[str, str]) -> set[str]:
    """Of these moves (id → session) those that were never answered; they count as answered with the unit. BOOK-9"""
    rows = await unit.fetch(_CLAIM, list(moves), list(moves.values()), unit.now)
    return {row[0] for row in rows}


async def load(unit: UnitOfWork, session_ids: Iterable[str]) -> dict[str, Standing]:
    """The holds of these sessions as they stand, over or not, locked in one order."""
    rows = await unit.fetch(_STANDING, sorted(session_ids))
    return {row[0]: Standing(row[0], row[1], row[2], row[3], row[4], row[5], (row[6], row[7]), row[8]) for row in rows}


async def take_turns(unit: UnitOfWork, holds: Iterable[Standing], venue_ids: Iterable[str]) -> None:
    """Waits until no other move of these providers, members and venues is under way; to the end of the transaction."""
    names = {f"venue {venue_id}" for venue_id in venue_ids}
    for hold in holds:
        names |= {f"provider {hold.provider_id}", f"member {hold.member_id}"}
        if hold.venue_id is not None:
            names.add(f"venue {hold.venue_id}")
    await unit.fetch(_TURNS, sorted(names))


async def move(unit: UnitOfWork, session_id: str, target: Target) -> int | None:
    """Puts the hold at its target; answers the sequence of the event that tells it, None where something is in the way."""
    values: Sequence[object] = (
        session_id,
        target.starts_at,
        target.ends_at,
        target.venue_id,
        target.blocked[0],
        target.blocked[1],
    )
    try:
        async with unit.connection.transaction():
            return int(await unit.fetch_value(_MOVE, *values))
    except asyncpg.ExclusionViolationError:
        return None


async def stay(unit: UnitOfWork, session_id: str) -> int:
    """The hold stays where it is; answers the sequence of the event that tells it (1 for a session without any hold)."""
    return await unit.fetch_value(_STAY, session_id) or 1
