"""Returned credits of sessions that this service does not know yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from makegood_chassis.database import Queries, column
from makegood_chassis.statements import Statement, any_of, batch
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from makegood_notifications.domain.notices import Content, Preferences, Source
from makegood_notifications.store.contacts import PREFERENCES, preferences_of
from makegood_notifications.store.read_models import session_of
from makegood_notifications.store.tables import people, returns_to_tell, sessions

_SESSIONS: Final = Statement(
    select(sessions, *(people.c[one] for one in PREFERENCES))
    .outerjoin(people, people.c.id == sessions.c.member_id)
    .where(any_of(sessions.c.id))
)
_NEW: Final = batch("new", returns_to_tell.c)
_KEEP: Final = Statement(
    insert(returns_to_tell).from_select(returns_to_tell.c.keys(), select(_NEW)).on_conflict_do_nothing()
)
_TAKE: Final = Statement(
    delete(returns_to_tell).where(any_of(returns_to_tell.c.session_id)).returning(*returns_to_tell.c)
)
_FORGET: Final = "DELETE FROM returns_to_tell WHERE occurred_at < statement_timestamp() - interval '7 days'"


@dataclass(frozen=True, slots=True)
class ReturnToTell:
    """A returned credit that the room's chat mentions."""

    session_id: str
    source: Source


async def contents_of_sessions(queries: Queries, session_ids: Sequence[str]) -> dict[str, tuple[Content, Preferences]]:
    """For each session that is known: what a notice says about it, and what the member prefers."""
    rows = await queries.fetch(_SESSIONS(id=list(session_ids)))
    return {str(row["id"]): (session_of(row).content(), preferences_of(row)) for row in rows}


async def keep(queries: Queries, returns: Sequence[ReturnToTell]) -> None:
    """Stores the returns until their session is known. If it never is, because it was rejected, they are deleted after
    a week.
    """
    await queries.execute(_FORGET)
    sources = [one.source for one in returns]
    await queries.execute(
        _KEEP(
            event_id=column(sources, "event_id"),
            session_id=column(returns, "session_id"),
            correlation_id=column(sources, "correlation_id"),
            traceparent=column(sources, "traceparent"),
            occurred_at=column(sources, "occurred_at"),
        )
    )


async def take(queries: Queries, session_ids: Sequence[str]) -> list[ReturnToTell]:
    """Takes the stored returns of these sessions, and deletes them."""
    rows = await queries.fetch(_TAKE(session_id=list(session_ids)))
    return [
        ReturnToTell(
            str(row["session_id"]),
            Source(str(row["event_id"]), row["correlation_id"], row["traceparent"], row["occurred_at"]),
        )
        for row in rows
    ]
