"""Offers and proposals of the waitlist, as slot holds with the same exclusion constraints (AVAIL-3, AVAIL-6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_calendar.hours import Span
from makegood_chassis.database import UnitOfWork
from makegood_chassis.statements import MOMENT, Statement, as_text, batch
from makegood_contracts.ids import new_id
from sqlalchemy import bindparam, delete

from makegood_availability.domain.waitlist import HeldSlot, WaitlistEntry
from makegood_availability.store.expressions import key, span
from makegood_availability.store.tables import slot_holds

_H: Final = slot_holds.c
_BLOCKED: Final = span(bindparam("blocked_from", type_=MOMENT), bindparam("blocked_until", type_=MOMENT))

# An offer lapses with its entry, not with its hold, so it is firm. Its member id is made up; see the column's comment.
_INSERT = Statement("""
INSERT INTO slot_holds (session_id, provider_id, member_id, venue_id, starts_at, ends_at, blocked, hold_until, live, firm,
                        offered_to, entry_id)
VALUES (:session_id, :provider_id, :held_as, :venue_id, :starts_at, :ends_at, tstzrange(:blocked_from, :blocked_until),
        :hold_until, true, true, :offered_to, :entry_id)
ON CONFLICT DO NOTHING
""")
_TAKE = Statement(
    delete(slot_holds)
    .where(
        _H.live,
        _H.provider_key == key(bindparam("provider_id")),
        _H.blocked.overlaps(_BLOCKED),
        _H.offered_to == bindparam("member_id"),
    )
    .returning(as_text(_H.entry_id))
)
_GONE: Final = batch("gone", (_H.entry_id, _H.provider_id, _H.starts_at, _H.ends_at))
_DROP = Statement(
    delete(slot_holds).where(
        _H.live,
        _H.provider_key == key(_GONE.c.provider_id),
        _H.blocked.overlaps(span(_GONE.c.starts_at, _GONE.c.ends_at)),
        _H.offered_to.is_not(None),
        _H.entry_id == _GONE.c.entry_id,
    )
)
_MARK_TAKER = Statement("UPDATE slot_holds SET entry_id = :entry_id WHERE session_id = :session_id")


async def hold(unit: UnitOfWork, entry: WaitlistEntry, slot: HeldSlot, blocked: Span) -> bool:
    """Holds the slot for the entry's member. False if somebody else was first (AVAIL-3)."""
    done = await unit.execute(
        _INSERT(
            session_id=new_id(),
            provider_id=entry.provider_id,
            held_as=f"waitlist/{entry.id}",
            venue_id=slot.venue_id,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            blocked_from=blocked[0],
            blocked_until=blocked[1],
            hold_until=slot.lapses_at,
            offered_to=entry.member_id,
            entry_id=entry.id,
        )
    )
    return done == "INSERT 0 1"


async def drop(unit: UnitOfWork, entries: Sequence[WaitlistEntry]) -> None:
    """Frees what is held for these entries."""
    held = [(entry, entry.offer) for entry in entries if entry.offer is not None]
    await unit.execute(
        _DROP(
            entry_id=[entry.id for entry, _ in held],
            provider_id=[entry.provider_id for entry, _ in held],
            starts_at=[slot.starts_at for _, slot in held],
            ends_at=[slot.ends_at for _, slot in held],
        )
    )


async def take(unit: UnitOfWork, provider_id: str, member_id: str, blocked: Span) -> list[str]:
    """Frees the provider's time in that span that is held for the member. Returns the entries."""
    rows = await unit.fetch(
        _TAKE(provider_id=provider_id, member_id=member_id, blocked_from=blocked[0], blocked_until=blocked[1])
    )
    return [row["entry_id"] for row in rows]


async def mark_taker(unit: UnitOfWork, session_id: str, entry_id: str) -> None:
    """Saves in the session's hold which entry's offer it took."""
    await unit.execute(_MARK_TAKER(session_id=session_id, entry_id=entry_id))
