"""The waitlists. Before you change a provider's waitlist, lock their row of `schedules` (`lock_waitlists`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec
from makegood_calendar.slot_rules import IN_PERSON
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement, any_of, batch, one_of
from makegood_contracts.reasons import Obstacle
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    bindparam,
    case,
    column,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from makegood_availability.domain.waitlist import DEFAULT_OFFER_TIME, HeldSlot, WaitlistEntry
from makegood_availability.store.tables import policy, schedules, waitlist

OPEN: Final = ("waiting", "offered")

_C: Final = waitlist.c
_S: Final = schedules.c
IS_OPEN: Final = one_of(_C.status, OPEN)

_LOCK = Statement(
    select(_S.provider_id).where(any_of(_S.provider_id)).order_by(_S.provider_id).with_for_update(key_share=True)
)
_CREATE = Statement(
    insert(schedules)
    .values(provider_id=bindparam("provider_id"), version=literal_column("0"), changed_at=bindparam("changed_at"))
    .on_conflict_do_nothing(index_elements=[_S.provider_id])
)
_PUBLISHED: Final = batch("published", (_S.provider_id, column("count", BigInteger)))
_TAKE_SEQUENCES = Statement(
    update(schedules)
    .values(sequence=_S.sequence + _PUBLISHED.c.count)
    .where(_S.provider_id == _PUBLISHED.c.provider_id)
    .returning(_S.provider_id, _S.sequence)
)
_CHANGING: Final = (
    _C.status,
    _C.offer_starts_at,
    _C.offer_ends_at,
    _C.lapses_at,
    _C.session_id,
    _C.proposal_id,
    _C.offer_venue_id,
    _C.obstacles,
    _C.search_from,
    _C.ask_again_at,
)
_FIXED: Final = tuple(each for each in _C if each.key not in {changing.key for changing in _CHANGING})
_INSERT = Statement(insert(waitlist).values({each.key: bindparam(each.key) for each in (*_FIXED, _C.status)}))
_CHANGED: Final = batch("changed", (_C.id, *_CHANGING))
_SAVE = Statement(
    update(waitlist).values({each.key: _CHANGED.c[each.key] for each in _CHANGING}).where(_C.id == _CHANGED.c.id)
)
_DELETE = Statement(delete(waitlist).where(any_of(_C.id)))


def _entries(*conditions: ColumnElement[bool]) -> Statement:
    return Statement(select(waitlist).where(*conditions).order_by(_C.provider_id, _C.id))


_BY_IDS = _entries(any_of(_C.id))
_OPEN_OF_PROVIDERS = _entries(any_of(_C.provider_id), IS_OPEN)
_OPEN_OF_ROOMS = _entries(any_of(_C.room_id), IS_OPEN)
_OPEN_OF_PEOPLE = _entries(or_(any_of(_C.member_id, "people"), any_of(_C.provider_id, "people")), IS_OPEN)
_OPEN_TAKEN_BY = _entries(any_of(_C.session_id), IS_OPEN)


def _providers(*conditions: ColumnElement[bool]) -> Statement:
    return Statement(select(_C.provider_id).where(*conditions, IS_OPEN).distinct())


_AWAITED = _providers(any_of(_C.provider_id))
_AWAITED_BY = _providers(any_of(_C.member_id))
_AWAITED_IN_PERSON = _providers(_C.modality == literal_column(f"'{IN_PERSON}'"))

# An event may come twice, or from a topic that is read again. The latest version counts.
_SAVE_POLICY = Statement("""
INSERT INTO policy (version, offer_minutes) VALUES (:version, :offer_minutes)
ON CONFLICT (single) DO UPDATE SET version = excluded.version, offer_minutes = excluded.offer_minutes
WHERE policy.version < excluded.version
""")
_READ_POLICY = Statement(select(policy.c.offer_minutes))


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry and its place in the provider's waitlist, 1 for the first. None if it is no longer open."""

    entry: WaitlistEntry
    position: int | None


async def lock_waitlists(unit: UnitOfWork, provider_ids: Iterable[str]) -> None:
    """Locks these providers' waitlists until the end of the transaction, in a fixed order."""
    await unit.fetch(_LOCK(provider_id=sorted(provider_ids)))


async def create_waitlist(unit: UnitOfWork, provider_id: str) -> None:
    """Creates and locks the waitlist of a provider, who may have published nothing yet."""
    await unit.execute(_CREATE(provider_id=provider_id, changed_at=unit.now))
    await lock_waitlists(unit, [provider_id])


async def take_sequences(unit: UnitOfWork, counts: Mapping[str, int]) -> dict[str, int]:
    """Takes so many event sequences of each provider, whose waitlist must be locked. Returns the last one of each."""
    rows = await unit.fetch(_TAKE_SEQUENCES(provider_id=list(counts), count=list(counts.values())))
    return {row["provider_id"]: row["sequence"] for row in rows}


async def insert_entry(unit: UnitOfWork, entry: WaitlistEntry) -> None:
    """Inserts an entry at the end of its waitlist."""
    await unit.execute(_INSERT(**{each.key: getattr(entry, each.key) for each in (*_FIXED, _C.status)}))


async def save(unit: UnitOfWork, changed: Sequence[WaitlistEntry]) -> None:
    """Saves the columns of these entries that can change."""
    offers = [entry.offer for entry in changed]
    await unit.execute(
        _SAVE(
            id=[entry.id for entry in changed],
            status=[entry.status for entry in changed],
            offer_starts_at=[offer.starts_at if offer else None for offer in offers],
            offer_ends_at=[offer.ends_at if offer else None for offer in offers],
            lapses_at=[offer.lapses_at if offer else None for offer in offers],
            session_id=[entry.session_id for entry in changed],
            proposal_id=[entry.proposal_id for entry in changed],
            offer_venue_id=[offer.venue_id if offer else None for offer in offers],
            obstacles=[entry.obstacles for entry in changed],
            search_from=[entry.search_from for entry in changed],
            ask_again_at=[entry.ask_again_at for entry in changed],
        )
    )


async def delete_entries(unit: UnitOfWork, entry_ids: Sequence[str]) -> None:
    """Deletes these entries."""
    await unit.execute(_DELETE(id=entry_ids))


async def by_ids(queries: Queries, entry_ids: Collection[str]) -> list[WaitlistEntry]:
    """These entries, open or not. Deleted ones are left out."""
    return _read(await queries.fetch(_BY_IDS(id=list(entry_ids))))


async def open_of_providers(queries: Queries, provider_ids: Iterable[str]) -> list[WaitlistEntry]:
    """The entries that wait for these providers or have an offer, each waitlist in its order."""
    return _read(await queries.fetch(_OPEN_OF_PROVIDERS(provider_id=list(provider_ids))))


async def open_of_rooms(queries: Queries, room_ids: Collection[str]) -> list[WaitlistEntry]:
    """The entries that wait in these rooms."""
    return _read(await queries.fetch(_OPEN_OF_ROOMS(room_id=list(room_ids))))


async def open_of_people(queries: Queries, people: Collection[str]) -> list[WaitlistEntry]:
    """The entries of these people, and the entries that wait for them."""
    return _read(await queries.fetch(_OPEN_OF_PEOPLE(people=list(people))))


async def open_taken_by(queries: Queries, session_ids: Collection[str]) -> list[WaitlistEntry]:
    """The undecided entries whose offers these sessions took."""
    return _read(await queries.fetch(_OPEN_TAKEN_BY(session_id=list(session_ids))))


async def awaited(queries: Queries, provider_ids: Collection[str]) -> set[str]:
    """The providers for whom somebody waits."""
    return {row["provider_id"] for row in await queries.fetch(_AWAITED(provider_id=list(provider_ids)))}


async def awaited_by(queries: Queries, member_ids: Collection[str]) -> set[str]:
    """The providers for whom these members wait."""
    return {row["provider_id"] for row in await queries.fetch(_AWAITED_BY(member_id=list(member_ids)))}


async def awaited_in_person(queries: Queries) -> set[str]:
    """The providers with whom somebody waits for a session in person."""
    return {row["provider_id"] for row in await queries.fetch(_AWAITED_IN_PERSON())}


async def list_of_room(
    queries: Queries, room_id: str, after: str | None, most: int, *, only: str | None = None
) -> Sequence[ListedEntry]:
    """The room's entries, oldest first, after the id `after`. `only` selects one of them."""
    ahead = waitlist.alias()
    position = (
        select(func.count())
        .where(ahead.c.provider_id == _C.provider_id, one_of(ahead.c.status, OPEN), ahead.c.id <= _C.id)
        .scalar_subquery()
    )
    statement = select(waitlist, case((IS_OPEN, position)).label("position")).where(_C.room_id == room_id)
    if after is not None:
        statement = statement.where(_C.id > after)
    if only is not None:
        statement = statement.where(_C.id == only)
    rows = await queries.fetch(statement.order_by(_C.id).limit(most))
    return [ListedEntry(_entry(row), row["position"]) for row in rows]


async def save_policy(unit: UnitOfWork, version: int, offer_minutes: int) -> None:
    """Saves how long an offer is held under this version of the policy, unless a later one is known."""
    await unit.execute(_SAVE_POLICY(version=version, offer_minutes=offer_minutes))


async def offer_time(queries: Queries) -> timedelta:
    """How long an offer made now is held."""
    minutes = await queries.fetch_value(_READ_POLICY())
    return DEFAULT_OFFER_TIME if minutes is None else timedelta(minutes=minutes)


def _read(rows: Iterable[Row]) -> list[WaitlistEntry]:
    return [_entry(row) for row in rows]


def _entry(row: Row) -> WaitlistEntry:
    offer = None
    if row["offer_starts_at"] is not None:
        offer = HeldSlot(row["offer_starts_at"], row["offer_ends_at"], row["lapses_at"], row["offer_venue_id"])
    return WaitlistEntry(
        id=str(row["id"]),
        room_id=str(row["room_id"]),
        provider_id=row["provider_id"],
        member_id=row["member_id"],
        waits_from=row["waits_from"],
        waits_until=row["waits_until"],
        length_minutes=row["length_minutes"],
        modality=row["modality"],
        status=row["status"],
        offer=offer,
        session_id=None if row["session_id"] is None else str(row["session_id"]),
        proposal_id=None if row["proposal_id"] is None else str(row["proposal_id"]),
        obstacles=msgspec.convert(row["obstacles"], tuple[Obstacle, ...]),
        search_from=row["search_from"],
        ask_again_at=row["ask_again_at"],
    )
