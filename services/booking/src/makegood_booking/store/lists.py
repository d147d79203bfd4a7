"""Lists and what stands beside a session: pages of sessions, history, remarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from makegood_chassis.database import Queries, Row
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


async def read_canceller(session_id: str, queries: Queries) -> str | None:
    """Who cancelled it: a party, or the platform."""
    found: str | None = await queries.fetch_value(
        "SELECT by FROM session_history WHERE session_id = $1 AND type = 'SessionCancelled'", session_id
    )
    return found
