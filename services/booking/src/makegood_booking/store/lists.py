"""Lists and what stands beside a session: pages of sessions, history, remarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from makegood_chassis.database import Queries, Row, UnitOfWork
from sqlalchemy import literal, or_, select, tuple_

from makegood_booking.domain.session import Session
from makegood_booking.store.sessions import Sessions
from makegood_booking.store.tables import sessions


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions are wanted. `member_id`, `provider_id`: whose the caller may see, either; neither: everybody's."""

    member_id: str | None = None
    provider_id: str | None = None
    room_id: str | None = None
    status: Sequence[str] = ()
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    after: tuple[datetime, str] | None = None


async def list_sessions(store: Sessions, wanted: Filter, most: int, queries: Queries) -> list[Session]:
    """At most `most` sessions in the order of their start, behind the position `after`."""
    table = sessions.c
    query = select(sessions)
    whose = [
        column == person
        for column, person in ((table.member_id, wanted.member_id), (table.provider_id, wanted.provider_id))
        if person is not None
    ]
    if whose:
        query = query.where(or_(*whose))
    if wanted.room_id is not None:
        query = query.where(table.room_id == wanted.room_id)
    if wanted.status:
        query = query.where(table.status.in_(list(wanted.status)))
    if wanted.starts_from is not None:
        query = query.where(table.starts_at >= wanted.starts_from)
    if wanted.starts_before is not None:
        query = query.where(table.starts_at < wanted.starts_before)
    if wanted.after is not None:
        query = query.where(
            tuple_(table.starts_at, table.id)
            > tuple_(literal(wanted.after[0], table.starts_at.type), literal(wanted.after[1], table.id.type))
        )
    query = query.order_by(table.starts_at, table.id).limit(most)
    return await store.of_rows(await queries.fetch(query), queries)


async def read_history(session_id: str, after: int, most: int, queries: Queries) -> list[Row]:
    """At most `most` entries (version, at, type, by, detail) behind version `after`, oldest first."""
    return await queries.fetch(
        "SELECT version, at, type, by, detail FROM session_history WHERE session_id = $1 AND version > $2 "
        "ORDER BY version LIMIT $3",
        session_id,
        after,
        most,
    )


_ERASE_REMARKS = """
DELETE FROM session_remarks AS r USING sessions AS s, session_history AS h
WHERE r.session_id = s.id AND h.session_id = s.id AND h.type = 'SessionCancelled'
    AND ((h.by = 'member' AND s.member_id = ANY($1::text[])) OR (h.by = 'provider' AND s.provider_id = ANY($1::text[])))
"""


async def keep_note(
    session: Session, kind: Literal["dispute", "correction"], author: str, role: str, note: str | None, unit: UnitOfWork
) -> None:
    """What somebody wrote with the change that led to this version of the session."""
    await unit.execute(
        "INSERT INTO session_notes (session_id, version, kind, author, role, note) VALUES ($1, $2, $3, $4, $5, $6)",
        session.id,
        session.version,
        kind,
        author,
        role,
        note,
    )


async def read_notes(session_id: str, versions: Sequence[int], queries: Queries) -> dict[int, Row]:
    """The notes (kind, author, role, note) by the version that they led to."""
    rows = await queries.fetch(
        "SELECT version, kind, author, role, note FROM session_notes WHERE session_id = $1 AND version = ANY($2::int[])",
        session_id,
        list(versions),
    )
    return {row["version"]: row for row in rows}


async def erase_notes(people: Sequence[str], unit: UnitOfWork) -> None:
    """Deletes the remarks and dispute notes that these people wrote; that they disputed stays."""
    await unit.execute(_ERASE_REMARKS, list(people))
    await unit.execute(
        "UPDATE session_notes SET note = NULL WHERE author = ANY($1::text[]) AND kind = 'dispute'", list(people)
    )


async def keep_remark(session_id: str, remark: str, unit: UnitOfWork) -> None:
    await unit.execute("INSERT INTO session_remarks (session_id, remark) VALUES ($1, $2)", session_id, remark)


async def read_canceller(session_id: str, queries: Queries) -> str | None:
    """Who cancelled it: a party, or the platform."""
    found: str | None = await queries.fetch_value(
        "SELECT by FROM session_history WHERE session_id = $1 AND type = 'SessionCancelled'", session_id
    )
    return found


async def read_remark(session_id: str, queries: Queries) -> str | None:
    found: str | None = await queries.fetch_value(
        "SELECT remark FROM session_remarks WHERE session_id = $1", session_id
    )
    return found
