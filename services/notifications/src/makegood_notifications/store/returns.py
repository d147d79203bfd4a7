"""Credits that came back for sessions of which this service has not heard yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from makegood_chassis.database import Queries, column

from makegood_notifications.domain.notices import Content, Preferences, Source
from makegood_notifications.store.contacts import preferences_of

_FACTS = """
SELECT sessions.id, room_id, member_id, provider_id, starts_at, ends_at, length_minutes, modality, sessions.time_zone, venue_id,
       people.locale, people.by_whatsapp, people.by_chat
FROM sessions LEFT JOIN people ON people.id = sessions.member_id
WHERE sessions.id = ANY($1::uuid[])
"""

_KEEP = """
INSERT INTO returns_to_tell (event_id, session_id, correlation_id, traceparent, occurred_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT DO NOTHING
"""

_TAKE = """
DELETE FROM returns_to_tell WHERE session_id = ANY($1::uuid[])
RETURNING event_id, session_id, correlation_id, traceparent, occurred_at
"""

_FORGET = "DELETE FROM returns_to_tell WHERE occurred_at < clock_timestamp() - interval '7 days'"


@dataclass(frozen=True, slots=True)
class ReturnToTell:
    """A return of a credit that the room's chat tells of."""

    session_id: str
    source: Source


async def contents_of_sessions(queries: Queries, session_ids: Sequence[str]) -> dict[str, tuple[Content, Preferences]]:
    """Of those sessions that are known: what a notice says of them, and what the member prefers."""
    rows = await queries.fetch(_FACTS, list(session_ids))
    return {
        str(row[0]): (Content(str(row[0]), str(row[1]), *list(row)[2:10]), preferences_of(row[10:13])) for row in rows
    }


async def keep(queries: Queries, returns: Sequence[ReturnToTell]) -> None:
    """Keeps them until their session is known; a session that never is (it was rejected) is forgotten after a week."""
    await queries.execute(_FORGET)
    sources = [one.source for one in returns]
    await queries.execute(
        _KEEP,
        column(sources, "event_id"),
        column(returns, "session_id"),
        column(sources, "correlation_id"),
        column(sources, "traceparent"),
        column(sources, "occurred_at"),
    )


async def take(queries: Queries, session_ids: Sequence[str]) -> list[ReturnToTell]:
    """Those kept for these sessions; they are gone with the transaction."""
    rows = await queries.fetch(_TAKE, list(session_ids))
    return [ReturnToTell(str(row[1]), Source(str(row[0]), row[2], row[3], row[4])) for row in rows]
