"""Offers of the waitlist, and what is held for candidates, as holds of slots, which the same exclusion constraints guard (AVAIL-3, AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_calendar.hours import Span
from makegood_chassis.database import UnitOfWork
from makegood_contracts.ids import new_id

from makegood_availability.domain.waitlist import Entry, Held

# An offer lapses by its entry, not by its hold: so it is firm. Its member is made up, see the table's comment.
_OFFER = """
INSERT INTO slot_holds
    (session_id, provider_id, member_id, venue_id, starts_at, ends_at, blocked, hold_until, live, firm, offered_to, entry_id)
VALUES ($1, $2, 'waitlist/' || $3::uuid::text, $10, $5, $6, tstzrange($7, $8), $9, true, true, $4, $3)
ON CONFLICT DO NOTHING
"""
_TAKE = """
DELETE FROM slot_holds WHERE live AND provider_key = hashtextextended($1, 0) AND blocked && tstzrange($3, $4)
    AND offered_to = $2
RETURNING entry_id::text
"""
_DROP = """
DELETE FROM slot_holds h
USING unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS gone (entry_id, provider_id, starts_at, ends_at)
WHERE h.live AND h.provider_key = hashtextextended(gone.provider_id, 0) AND h.blocked && tstzrange(gone.starts_at, gone.ends_at)
    AND h.offered_to IS NOT NULL AND h.entry_id = gone.entry_id
"""


async def hold(unit: UnitOfWork, entry: Entry, offer: Held, blocked: Span) -> bool:
    """Sets the slot aside for the entry's member; False where somebody else was first. AVAIL-3"""
    done = await unit.execute(
        _OFFER,
        new_id(),
        entry.provider_id,
        entry.id,
        entry.member_id,
        offer.starts_at,
        offer.ends_at,
        *blocked,
        offer.lapses_at,
        offer.venue_id,
    )
    return done == "INSERT 0 1"


async def drop(unit: UnitOfWork, entries: Sequence[Entry]) -> None:
    """What these entries were offered is free again."""
    offered = [(entry, entry.offer) for entry in entries if entry.offer is not None]
    await unit.execute(
        _DROP,
        [entry.id for entry, _ in offered],
        [entry.provider_id for entry, _ in offered],
        [offer.starts_at for _, offer in offered],
        [offer.ends_at for _, offer in offered],
    )


async def take(unit: UnitOfWork, provider_id: str, member_id: str, blocked: Span) -> list[str]:
    """Frees what the member was offered of the provider's time in that span; answers the entries."""
    return [row[0] for row in await unit.fetch(_TAKE, provider_id, member_id, *blocked)]


async def mark_taker(unit: UnitOfWork, session_id: str, entry_id: str) -> None:
    """The session's hold remembers the entry whose offer it took."""
    await unit.execute("UPDATE slot_holds SET entry_id = $2 WHERE session_id = $1", session_id, entry_id)
