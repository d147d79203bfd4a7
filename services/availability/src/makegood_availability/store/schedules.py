"""Schedules and time off."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood_calendar.hours import Span
from makegood_calendar.slot_rules import Schedule
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.sealing import Place
from makegood_chassis.service import Service
from sqlalchemy import literal, select, tuple_

from makegood_availability.store.bodies import schedule_of
from makegood_availability.store.cache import Parsed
from makegood_availability.store.tables import time_off

_IN_THE_CLEAR = """
SELECT id, provider_id, note FROM time_off WHERE note IS NOT NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_SEAL = """
UPDATE time_off SET sealed = new.sealed, note = NULL FROM unnest($1::uuid[], $2::bytea[]) AS new (id, sealed)
WHERE time_off.id = new.id
"""
_VERSIONS = "SELECT provider_id, version FROM schedules WHERE provider_id = ANY($1::text[]) AND body IS NOT NULL"
# Who enters time off locks the row FOR UPDATE, and so waits for the bookings that go by what is read here, and they for it.
_VERSIONS_TO_GO_BY = _VERSIONS + " ORDER BY provider_id FOR KEY SHARE"
_BODIES = "SELECT provider_id, version, body FROM schedules WHERE provider_id = ANY($1::text[]) AND body IS NOT NULL"
_TIME_OFF = """
SELECT provider_id, starts_at, ends_at FROM time_off
WHERE provider_id = ANY($1::text[]) AND ends_at > $2 AND starts_at < $3
"""
_LOCK = "SELECT version, body FROM schedules WHERE provider_id = $1 FOR UPDATE"
_PUBLISH = """
INSERT INTO schedules (provider_id, version, sequence, body, changed_at) VALUES ($1, 1, 1, $2, $3)
ON CONFLICT (provider_id) DO UPDATE SET version = schedules.version + 1, sequence = schedules.sequence + 1,
    body = excluded.body, changed_at = excluded.changed_at
RETURNING version, sequence
"""
_WITHDRAW = """
UPDATE schedules SET version = version + 1, sequence = sequence + 1, body = NULL, changed_at = $2
WHERE provider_id = ANY($1::text[]) AND body IS NOT NULL
RETURNING provider_id, version, sequence
"""
_TOUCH = """
INSERT INTO schedules (provider_id, version, sequence, changed_at) VALUES ($1, 1, 1, $2)
ON CONFLICT (provider_id) DO UPDATE SET version = schedules.version + 1, sequence = schedules.sequence + 1,
    changed_at = excluded.changed_at
RETURNING version, sequence
"""


@dataclass(frozen=True, slots=True)
class Published:
    """A provider's schedule row; `body` is None while only time off was entered."""

    version: int
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TimeOff:
    """Time that a provider takes off, with a note for nobody else."""

    id: str
    starts_at: datetime
    ends_at: datetime
    note: str | None


class Schedules:
    """The providers' schedules, parsed once a version."""

    def __init__(self, most: int = 4096) -> None:
        self._parsed: Parsed[Schedule] = Parsed(most)

    async def load(
        self, queries: Queries, provider_ids: Collection[str], *, to_go_by: bool = False
    ) -> dict[str, Schedule]:
        """The published schedules of these providers, as they stand now; a provider without one is left out.

        `to_go_by`: until the transaction ends they stay so, and so does the time off that is read next: a session is either
        held before time off is entered, and named to the provider, or refused for it (AVAIL-1).
        """
        statement = _VERSIONS_TO_GO_BY if to_go_by else _VERSIONS
        versions = {row[0]: row[1] for row in await queries.fetch(statement, list(provider_ids))}

        async def read(missing: Collection[str]) -> dict[str, tuple[int, Schedule]]:
            rows = await queries.fetch(_BODIES, list(missing))
            return {row[0]: (row[1], schedule_of(row[2])) for row in rows}

        return await self._parsed.get(versions, read)


async def load_time_off(
    queries: Queries, provider_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, list[Span]]:
    """The providers' time off that touches [start, end)."""
    found: dict[str, list[Span]] = {}
    for provider_id, starts_at, ends_at in await queries.fetch(_TIME_OFF, list(provider_ids), start, end):
        found.setdefault(provider_id, []).append((starts_at, ends_at))
    return found


async def lock(unit: UnitOfWork, provider_id: str) -> Published | None:
    """The provider's row, locked, so that changes and their events keep one order."""
    row = await unit.fetch_one(_LOCK, provider_id)
    return None if row is None else Published(row[0], row[1])


async def read(queries: Queries, provider_id: str) -> Published | None:
    """The provider's row; None for a provider who never published anything."""
    row = await queries.fetch_one("SELECT version, body FROM schedules WHERE provider_id = $1", provider_id)
    return None if row is None else Published(row[0], row[1])


async def publish(unit: UnitOfWork, provider_id: str, body: Mapping[str, Any]) -> tuple[int, int]:
    """Replaces the schedule; answers its version and the sequence of the event that tells it."""
    (row,) = await unit.fetch(_PUBLISH, provider_id, body, unit.now)
    return row[0], row[1]


async def withdraw(unit: UnitOfWork, provider_ids: Sequence[str]) -> list[tuple[str, int, int]]:
    """Takes back what these providers published, whose rows are locked; answers of each who had a schedule its version and the
    sequence of the event that tells it."""
    return [(row[0], row[1], row[2]) for row in await unit.fetch(_WITHDRAW, provider_ids, unit.now)]


async def touch(unit: UnitOfWork, provider_id: str) -> tuple[int, int]:
    """Raises the version of the schedule for a change of time off; answers it and the sequence of the event that tells it."""
    (row,) = await unit.fetch(_TOUCH, provider_id, unit.now)
    return row[0], row[1]


async def add_time_off(unit: UnitOfWork, provider_id: str, entry: TimeOff) -> None:
    """Enters time off. The provider's row must be there (`touch`)."""
    texts = [(Place("time_off", entry.id, provider_id), entry.note)] if entry.note is not None else []
    sealed = await unit.personal_data.seal(unit, texts)
    await unit.execute(
        "INSERT INTO time_off (id, provider_id, starts_at, ends_at, sealed) VALUES ($1, $2, $3, $4, $5)",
        entry.id,
        provider_id,
        entry.starts_at,
        entry.ends_at,
        sealed[0] if sealed else None,
    )


async def remove_time_off(unit: UnitOfWork, provider_id: str, time_off_id: str) -> bool:
    """Takes time off back; False if there is none of this id."""
    done = await unit.execute("DELETE FROM time_off WHERE id = $1 AND provider_id = $2", time_off_id, provider_id)
    return done == "DELETE 1"


async def erase_notes(unit: UnitOfWork, provider_ids: Sequence[str]) -> None:
    """Takes the notes off these providers' time off, with their keys and the answers that are kept for repeated requests."""
    await unit.personal_data.erase(unit, provider_ids)
    await unit.execute(
        "UPDATE time_off SET note = NULL, sealed = NULL "
        "WHERE provider_id = ANY($1::text[]) AND (note IS NOT NULL OR sealed IS NOT NULL)",
        provider_ids,
    )


async def seal_notes(service: Service, unit: UnitOfWork, at_once: int) -> int:
    """Seals notes that an older version left in the clear; how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(Place("time_off", str(row["id"]), row["provider_id"]), row["note"]) for row in rows]
        await unit.execute(_SEAL, [row["id"] for row in rows], await unit.personal_data.seal(unit, texts))
    return len(rows)


async def list_time_off(
    queries: Queries, provider_id: str, after: tuple[datetime, str] | None, most: int
) -> Sequence[TimeOff]:
    """The provider's time off by start, behind the position `after`."""
    statement = select(
        time_off.c.id, time_off.c.starts_at, time_off.c.ends_at, time_off.c.note, time_off.c.sealed
    ).where(time_off.c.provider_id == provider_id)
    if after is not None:
        statement = statement.where(
            tuple_(time_off.c.starts_at, time_off.c.id)
            > tuple_(literal(after[0], time_off.c.starts_at.type), literal(after[1], time_off.c.id.type))
        )
    rows = await queries.fetch(statement.order_by(time_off.c.starts_at, time_off.c.id).limit(most))
    places = [(Place("time_off", str(row["id"]), provider_id), row["sealed"]) for row in rows]
    notes = await queries.personal_data.open(queries, places)
    return [
        TimeOff(str(row["id"]), row["starts_at"], row["ends_at"], row["note"] if note is None else note)
        for row, note in zip(rows, notes, strict=True)
    ]
