"""Schedules and time off."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import Schedule
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.sealing import Place
from makegood_chassis.statements import Statement, any_of, batch
from sqlalchemy import ColumnElement, bindparam, func, literal, null, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from makegood_availability.store.bodies import schedule_of
from makegood_availability.store.cache import VersionedCache
from makegood_availability.store.tables import schedules, time_off

_PAST: Final = timedelta(days=1)
"""Time off that ended before this concerns no session that can still be asked for, and would only pile up."""
_S: Final = schedules.c
_T: Final = time_off.c

_VERSIONS: Final = select(_S.provider_id, _S.version).where(any_of(_S.provider_id), _S.body.is_not(None))
_READ_VERSIONS = Statement(_VERSIONS)
# Entering time off locks the row FOR UPDATE, so it waits for bookings that rely on what is read here, and they wait for it.
_KEEP_VERSIONS = Statement(_VERSIONS.order_by(_S.provider_id).with_for_update(read=True, key_share=True))


def _of_time_off(moment: ColumnElement[datetime]) -> ColumnElement[Any]:
    moments = func.array_agg(aggregate_order_by(moment, _T.starts_at, _T.id))
    ahead = select(moments).where(_T.provider_id == _S.provider_id, _T.ends_at > bindparam("since"))
    return func.coalesce(ahead.scalar_subquery(), text("'{}'"))


_READ_BODIES = Statement(
    select(_S.provider_id, _S.version, _S.body, _of_time_off(_T.starts_at), _of_time_off(_T.ends_at)).where(
        any_of(_S.provider_id), _S.body.is_not(None)
    )
)
_ROW: Final = select(_S.version, _S.body).where(_S.provider_id == bindparam("provider_id"))
_READ = Statement(_ROW)
_LOCK = Statement(_ROW.with_for_update())
_PUBLISH = Statement("""
INSERT INTO schedules (provider_id, version, sequence, body, changed_at) VALUES (:provider_id, 1, 1, :body, :changed_at)
ON CONFLICT (provider_id) DO UPDATE
SET version = schedules.version + 1, sequence = schedules.sequence + 1, body = excluded.body, changed_at = excluded.changed_at
RETURNING version, sequence
""")
_TOUCH = Statement("""
INSERT INTO schedules (provider_id, version, sequence, changed_at) VALUES (:provider_id, 1, 1, :changed_at)
ON CONFLICT (provider_id) DO UPDATE
SET version = schedules.version + 1, sequence = schedules.sequence + 1, changed_at = excluded.changed_at
RETURNING version, sequence
""")
_WITHDRAW = Statement("""
UPDATE schedules SET version = version + 1, sequence = sequence + 1, body = NULL, changed_at = :now
WHERE provider_id = ANY(:provider_ids) AND body IS NOT NULL RETURNING provider_id, version, sequence
""")

_TIME_OFF = Statement(
    select(_T.provider_id, _T.starts_at, _T.ends_at).where(
        any_of(_T.provider_id), _T.ends_at > bindparam("start"), _T.starts_at < bindparam("end")
    )
)
_ADD_TIME_OFF = Statement(insert(time_off).values({each: bindparam(each.key) for each in _T if each is not _T.note}))
_REMOVE_TIME_OFF = Statement("DELETE FROM time_off WHERE id = :id AND provider_id = :provider_id")
_ERASE_NOTES = Statement(
    "UPDATE time_off SET note = NULL, sealed = NULL "
    "WHERE provider_id = ANY(:provider_id) AND (note IS NOT NULL OR sealed IS NOT NULL)"
)
_READ_CLEAR_NOTES = Statement(
    "SELECT id, provider_id, note FROM time_off WHERE note IS NOT NULL ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED"
)
_SEALED: Final = batch("new", (_T.id, _T.sealed))
_SEAL_NOTES = Statement(update(time_off).values(sealed=_SEALED.c.sealed, note=null()).where(_T.id == _SEALED.c.id))


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A provider's row; `body` is None until they publish a schedule."""

    version: int
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TimeOff:
    """Time that a provider takes off. Only the provider and support can read the note."""

    id: str
    starts_at: datetime
    ends_at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Published:
    """What a provider has published. The time off is part of the schedule's version. What is long over is left out."""

    schedule: Schedule
    time_off: Sequence[Span]


class ScheduleCache:
    """The providers' schedules and time off, read and parsed once per version."""

    def __init__(self, most: int = 4096) -> None:
        self._parsed: VersionedCache[Published] = VersionedCache(most)

    def last_read(self, provider_id: str) -> tuple[int, Schedule] | None:
        """The version and the schedule that were read last. By now there may be a later one."""
        last = self._parsed.last(provider_id)
        return None if last is None else (last[0], last[1].schedule)

    async def load(self, queries: Queries, provider_ids: Collection[str], now: datetime) -> dict[str, Schedule]:
        """The published schedules of these providers. Providers without one are left out."""
        found = await self._get(queries, _READ_VERSIONS, provider_ids, now)
        return {provider_id: published.schedule for provider_id, published in found.items()}

    async def keep(self, unit: UnitOfWork, provider_ids: Collection[str]) -> dict[str, Published]:
        """As `load`, with the time off, and locks both until the unit ends.

        So a session is either held before time off is entered, and then named to the provider, or refused because of it
        (AVAIL-1).
        """
        return await self._get(unit, _KEEP_VERSIONS, provider_ids, unit.now)

    async def _get(
        self, queries: Queries, versions: Statement, provider_ids: Collection[str], now: datetime
    ) -> dict[str, Published]:
        rows = await queries.fetch(versions(provider_id=list(provider_ids)))

        async def read(missing: Collection[str]) -> dict[str, tuple[int, Published]]:
            bodies = await queries.fetch(_READ_BODIES(provider_id=list(missing), since=now - _PAST))
            return {provider_id: (version, _published(*published)) for provider_id, version, *published in bodies}

        return await self._parsed.get({row["provider_id"]: row["version"] for row in rows}, read)


def _published(body: Mapping[str, Any], off_from: Sequence[datetime], off_until: Sequence[datetime]) -> Published:
    return Published(schedule_of(body), list(zip(off_from, off_until, strict=True)))


async def load_time_off(
    queries: Queries, provider_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[Span]]:
    """The providers' time off that touches [start, end)."""
    found: dict[str, list[Span]] = {}
    rows = await queries.fetch(_TIME_OFF(provider_id=list(provider_ids), start=start, end=end))
    for provider_id, starts_at, ends_at in rows:
        found.setdefault(provider_id, []).append((starts_at, ends_at))
    return found


async def lock(unit: UnitOfWork, provider_id: str) -> ScheduleRow | None:
    """The provider's row, locked, so that changes and their events keep one order."""
    row = await unit.fetch_one(_LOCK(provider_id=provider_id))
    return None if row is None else ScheduleRow(**row)


async def read(queries: Queries, provider_id: str) -> ScheduleRow | None:
    """The provider's row. None if the provider never published anything."""
    row = await queries.fetch_one(_READ(provider_id=provider_id))
    return None if row is None else ScheduleRow(**row)


async def publish(unit: UnitOfWork, provider_id: str, body: Mapping[str, Any]) -> tuple[int, int]:
    """Replaces the schedule. Returns its version and the sequence of the event about it."""
    (row,) = await unit.fetch(_PUBLISH(provider_id=provider_id, body=body, changed_at=unit.now))
    return row["version"], row["sequence"]


async def touch(unit: UnitOfWork, provider_id: str) -> tuple[int, int]:
    """Increases the schedule's version for a change of time off. Returns it and the sequence of the event about it."""
    (row,) = await unit.fetch(_TOUCH(provider_id=provider_id, changed_at=unit.now))
    return row["version"], row["sequence"]


async def withdraw(unit: UnitOfWork, provider_ids: Sequence[str]) -> list[tuple[str, int, int]]:
    """Withdraws the schedules of these providers, whose rows must be locked.

    Returns, for each who had one, their id, its version and the sequence of the event that says so.
    """
    rows = await unit.fetch(_WITHDRAW(provider_ids=provider_ids, now=unit.now))
    return [(row["provider_id"], row["version"], row["sequence"]) for row in rows]


async def add_time_off(unit: UnitOfWork, provider_id: str, entry: TimeOff) -> None:
    """Inserts time off. The provider's row must exist (`touch`)."""
    texts = [(Place("time_off", entry.id, provider_id), entry.note)] if entry.note is not None else []
    sealed = await unit.personal_data.seal(unit, texts)
    await unit.execute(
        _ADD_TIME_OFF(
            id=entry.id,
            provider_id=provider_id,
            starts_at=entry.starts_at,
            ends_at=entry.ends_at,
            sealed=sealed[0] if sealed else None,
        )
    )


async def remove_time_off(unit: UnitOfWork, provider_id: str, time_off_id: str) -> bool:
    """Deletes time off. False if there is none with this id."""
    return await unit.execute(_REMOVE_TIME_OFF(id=time_off_id, provider_id=provider_id)) == "DELETE 1"


async def list_time_off(
    queries: Queries, provider_id: str, after: tuple[datetime, str] | None, most: int
) -> Sequence[TimeOff]:
    """The provider's time off by start, after the position `after`."""
    statement = select(_T.id, _T.starts_at, _T.ends_at, _T.note, _T.sealed).where(_T.provider_id == provider_id)
    if after is not None:
        position = tuple_(literal(after[0], _T.starts_at.type), literal(after[1], _T.id.type))
        statement = statement.where(tuple_(_T.starts_at, _T.id) > position)
    rows = await queries.fetch(statement.order_by(_T.starts_at, _T.id).limit(most))
    places = [(Place("time_off", str(row["id"]), provider_id), row["sealed"]) for row in rows]
    notes = await queries.personal_data.open(queries, places)
    return [
        TimeOff(str(row["id"]), row["starts_at"], row["ends_at"], row["note"] if note is None else note)
        for row, note in zip(rows, notes, strict=True)
    ]


async def erase_notes(unit: UnitOfWork, provider_ids: Sequence[str]) -> None:
    """Erases the notes of these providers' time off, with their keys and the answers kept for repeated requests."""
    await unit.personal_data.erase(unit, provider_ids)
    await unit.execute(_ERASE_NOTES(provider_id=provider_ids))


async def seal_notes(unit: UnitOfWork, most: int) -> int:
    """Encrypts notes that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_READ_CLEAR_NOTES(most=most))
    if rows:
        texts = [(Place("time_off", str(row["id"]), row["provider_id"]), row["note"]) for row in rows]
        sealed = await unit.personal_data.seal(unit, texts)
        await unit.execute(_SEAL_NOTES(id=[row["id"] for row in rows], sealed=sealed))
    return len(rows)
