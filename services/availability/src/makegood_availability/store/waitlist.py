"""The waitlist: a line for each provider. Whoever changes one locks the provider's row of `schedules` first (`lock_lines`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import IN_PERSON
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_contracts.reasons import Obstacle
from sqlalchemy import ColumnElement, case, func, or_, select

from makegood_availability.domain.waitlist import Entry, Held
from makegood_availability.store.tables import waitlist as entries

OPEN: Final = ("waiting", "offered")
_OPEN: Final = entries.c.status.in_(OPEN)


_LOCK = """
SELECT FROM schedules WHERE provider_id = ANY($1::text[]) ORDER BY provider_id FOR NO KEY UPDATE
"""
_MAKE_LINE = """
INSERT INTO schedules (provider_id, version, changed_at) VALUES ($1, 0, $2) ON CONFLICT (provider_id) DO NOTHING
"""
_SEQUENCES = """
UPDATE schedules SET sequence = sequence + told.count
FROM unnest($1::text[], $2::bigint[]) AS told (provider_id, count) WHERE schedules.provider_id = told.provider_id
RETURNING schedules.provider_id, sequence
"""
_BUSY = """
SELECT m.member_id, h.starts_at, h.ends_at FROM unnest($1::text[]) AS m (member_id)
JOIN slot_holds h ON h.live AND h.member_key = hashtextextended(m.member_id, 0)
    AND tstzrange(h.starts_at, h.ends_at) && tstzrange($2, $3)
"""
_SAVE = """
UPDATE waitlist SET status = new.status, offer_starts_at = new.starts_at, offer_ends_at = new.ends_at,
    lapses_at = new.lapses_at, session_id = new.session_id, proposal_id = new.proposal_id, offer_venue_id = new.venue_id,
    obstacles = new.obstacles::jsonb, search_from = new.search_from, ask_again_at = new.ask_again_at
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::uuid[], $7::uuid[], $8::text[],
    $9::text[], $10::timestamptz[], $11::timestamptz[])
    AS new (id, status, starts_at, ends_at, lapses_at, session_id, proposal_id, venue_id, obstacles, search_from, ask_again_at)
WHERE waitlist.id = new.id
"""
_INSERT = """
INSERT INTO waitlist (id, room_id, provider_id, member_id, waits_from, waits_until, length_minutes, modality, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting')
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry and its place in the provider's line, 1 for the first; None for one that waits no more."""

    entry: Entry
    position: int | None


async def lock_lines(unit: UnitOfWork, provider_ids: Iterable[str]) -> None:
    """Locks these providers' lines, in one order, to the end of the transaction."""
    await unit.fetch(_LOCK, sorted(provider_ids))


async def make_line(unit: UnitOfWork, provider_id: str) -> None:
    """Makes and locks the line of a provider who may have published nothing yet."""
    await unit.execute(_MAKE_LINE, provider_id, unit.now)
    await lock_lines(unit, [provider_id])


async def sequences(unit: UnitOfWork, counts: Mapping[str, int]) -> dict[str, int]:
    """Takes so many event sequences of each provider, whose lines are locked; answers the last one of each."""
    rows = await unit.fetch(_SEQUENCES, list(counts), list(counts.values()))
    return {row[0]: row[1] for row in rows}


async def insert(unit: UnitOfWork, entry: Entry) -> None:
    """A new entry, at the end of its line."""
    await unit.execute(
        _INSERT,
        entry.id,
        entry.room_id,
        entry.provider_id,
        entry.member_id,
        entry.waits_from,
        entry.waits_until,
        entry.length_minutes,
        entry.modality,
    )


async def open_entries(queries: Queries, provider_ids: Iterable[str]) -> list[Entry]:
    """Who waits for these providers or has an offer of theirs, in the order of the lines."""
    return await _read(queries, entries.c.provider_id.in_(list(provider_ids)), _OPEN)


async def by_ids(queries: Queries, entry_ids: Collection[str]) -> list[Entry]:
    """These entries, whatever became of them; one that left is not there."""
    return await _read(queries, entries.c.id.in_(list(entry_ids)))


async def open_of_rooms(queries: Queries, room_ids: Collection[str]) -> list[Entry]:
    """Who waits in these rooms."""
    return await _read(queries, entries.c.room_id.in_(list(room_ids)), _OPEN)


async def taken_by(queries: Queries, session_ids: Collection[str]) -> list[Entry]:
    """The entries whose offers these sessions took, while it is not decided."""
    return await _read(queries, entries.c.session_id.in_(list(session_ids)), _OPEN)


async def awaited(queries: Queries, provider_ids: Collection[str]) -> set[str]:
    """Those of these providers that somebody waits for."""
    statement = select(entries.c.provider_id).where(entries.c.provider_id.in_(list(provider_ids)), _OPEN).distinct()
    return {row[0] for row in await queries.fetch(statement)}


async def awaited_by(queries: Queries, member_ids: Collection[str]) -> set[str]:
    """The providers that these members wait for."""
    statement = select(entries.c.provider_id).where(entries.c.member_id.in_(list(member_ids)), _OPEN).distinct()
    return {row[0] for row in await queries.fetch(statement)}


async def open_of_people(queries: Queries, people: Collection[str]) -> list[Entry]:
    """Who of these people waits, and who waits for one of them."""
    named = list(people)
    return await _read(queries, or_(entries.c.member_id.in_(named), entries.c.provider_id.in_(named)), _OPEN)


async def awaited_in_person(queries: Queries) -> set[str]:
    """The providers with whom somebody waits for a session in person."""
    statement = select(entries.c.provider_id).where(entries.c.modality == IN_PERSON, _OPEN).distinct()
    return {row[0] for row in await queries.fetch(statement)}


async def list_of_room(
    queries: Queries, room_id: str, after: str | None, most: int, *, only: str | None = None
) -> Sequence[Listed]:
    """The room's entries in the order of their making, behind the id `after`; `only` asks for one of them."""
    ahead = entries.alias()
    position = (
        select(func.count())
        .where(ahead.c.provider_id == entries.c.provider_id, ahead.c.status.in_(OPEN), ahead.c.id <= entries.c.id)
        .scalar_subquery()
    )
    statement = select(entries, case((_OPEN, position))).where(entries.c.room_id == room_id)
    if after is not None:
        statement = statement.where(entries.c.id > after)
    if only is not None:
        statement = statement.where(entries.c.id == only)
    rows = await queries.fetch(statement.order_by(entries.c.id).limit(most))
    return [Listed(_entry(row), row[-1]) for row in rows]


async def _read(queries: Queries, *conditions: ColumnElement[bool]) -> list[Entry]:
    rows = await queries.fetch(select(entries).where(*conditions).order_by(entries.c.provider_id, entries.c.id))
    return [_entry(row) for row in rows]


async def save(unit: UnitOfWork, changed: Sequence[Entry]) -> None:
    """Keeps these entries' status and offer."""
    offers = [entry.offer for entry in changed]
    await unit.execute(
        _SAVE,
        [entry.id for entry in changed],
        [entry.status for entry in changed],
        [offer.starts_at if offer else None for offer in offers],
        [offer.ends_at if offer else None for offer in offers],
        [offer.lapses_at if offer else None for offer in offers],
        [entry.session_id for entry in changed],
        [entry.proposal_id for entry in changed],
        [offer.venue_id if offer else None for offer in offers],
        [msgspec.json.encode(entry.obstacles).decode() for entry in changed],
        [entry.search_from for entry in changed],
        [entry.ask_again_at for entry in changed],
    )


async def delete(unit: UnitOfWork, entry_ids: Sequence[str]) -> None:
    """Takes these entries off the list."""
    await unit.execute("DELETE FROM waitlist WHERE id = ANY($1::uuid[])", entry_ids)


async def busy_times(
    queries: Queries, member_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[Span]]:
    """When these members have sessions, within [start, end)."""
    found: dict[str, list[Span]] = {}
    for member_id, starts_at, ends_at in await queries.fetch(_BUSY, list(member_ids), start, end):
        found.setdefault(member_id, []).append((starts_at, ends_at))
    return found


def _entry(row: Row) -> Entry:
    offer = None if row["offer_starts_at"] is None else _held(row)
    return Entry(
        str(row["id"]),
        str(row["room_id"]),
        row["provider_id"],
        row["member_id"],
        row["waits_from"],
        row["waits_until"],
        row["length_minutes"],
        row["modality"],
        row["status"],
        offer,
        None if row["session_id"] is None else str(row["session_id"]),
        None if row["proposal_id"] is None else str(row["proposal_id"]),
        msgspec.convert(row["obstacles"], tuple[Obstacle, ...]),
        row["search_from"],
        row["ask_again_at"],
    )


def _held(row: Row) -> Held:
    return Held(row["offer_starts_at"], row["offer_ends_at"], row["lapses_at"], row["offer_venue_id"])
