"""What this service learns from booking's topics: rooms with their parties, sessions with their invitation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from makegood_chassis.database import Queries, column
from makegood_contracts.envelope import Received
from makegood_contracts.events import Event
from makegood_contracts.events.rooms import ProviderChanged, RoomClosed, RoomFact
from makegood_contracts.events.sessions import SessionFact

from makegood_notifications.domain.notices import Content, Details, Parties
from makegood_notifications.domain.sessions import KnownAppointment
from makegood_notifications.store.contacts import preferences_of

E = TypeVar("E", bound=Event)

_KNOWN = """
SELECT wanted.id, sessions.version, sessions.invitation_sequence, sessions.status,
       people.locale, people.by_whatsapp, people.by_chat,
       EXISTS (SELECT FROM returns_to_tell AS kept WHERE kept.session_id = wanted.id),
       sessions.room_id::text, sessions.member_id, sessions.provider_id, sessions.starts_at, sessions.ends_at,
       provider.locale, provider.by_whatsapp, provider.by_chat
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (id, member_id, provider_id)
LEFT JOIN sessions ON sessions.id = wanted.id
LEFT JOIN people ON people.id = wanted.member_id
LEFT JOIN people AS provider ON provider.id = wanted.provider_id
"""

_FOLLOW = """
INSERT INTO sessions (id, room_id, member_id, provider_id, status, starts_at, ends_at, length_minutes, modality,
                      time_zone, venue_id, version, invitation_sequence)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
                     $8::int[], $9::text[], $10::text[], $11::text[], $12::int[], $13::int[]) AS new (id)
ORDER BY new.id
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    length_minutes = excluded.length_minutes, modality = excluded.modality, time_zone = excluded.time_zone,
    venue_id = excluded.venue_id, version = excluded.version, invitation_sequence = excluded.invitation_sequence
WHERE sessions.version < excluded.version
"""

_COLUMNS = """id, room_id, member_id, provider_id, status, starts_at, ends_at, length_minutes, modality, time_zone, venue_id,
       version, invitation_sequence"""
_SESSION = f"SELECT {_COLUMNS} FROM sessions WHERE id = $1"  # noqa: S608 (constant columns)
_SESSIONS = f"SELECT {_COLUMNS} FROM sessions WHERE id = ANY($1::uuid[])"  # noqa: S608 (constant columns)
_SESSIONS_OF = f"""
SELECT {_COLUMNS} FROM sessions
WHERE room_id IN (SELECT id FROM rooms WHERE member_id = $1 UNION ALL SELECT id FROM rooms WHERE provider_id = $1)
  AND (member_id = $1 OR provider_id = $1) AND ends_at > $2
ORDER BY starts_at, id
"""  # noqa: S608 (constant columns)

_ROOMS = """
INSERT INTO rooms (id, member_id, provider_id, status, version, closed_by)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[]) AS new (id)
ORDER BY new.id
ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version, closed_by = excluded.closed_by
WHERE rooms.version < excluded.version
"""


@dataclass(frozen=True, slots=True)
class KnownSession:
    """`invitation_sequence` is that of the last invitation. `untold`: a return of its credit may still have to be told."""

    version: int
    invitation_sequence: int | None
    status: str | None
    parties: Parties
    untold: bool
    appointment: KnownAppointment | None = None
    """Whose it is and when; None for one that is new here."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it stands."""

    id: str
    room_id: str
    member_id: str
    provider_id: str
    status: str
    starts_at: datetime
    ends_at: datetime
    length_minutes: int
    modality: str
    time_zone: str
    venue_id: str | None
    version: int
    invitation_sequence: int | None

    def content(self, details: Details | None = None) -> Content:
        """What a notice says of it."""
        return Content(
            self.id, self.room_id, self.member_id, self.provider_id, self.starts_at, self.ends_at, self.length_minutes,
            self.modality, self.time_zone, self.venue_id, details=details,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FollowedSession:
    """A session as it stands after an event."""

    fact: SessionFact
    status: str
    invitation_sequence: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """A room and its two parties."""

    id: str
    member_id: str
    provider_id: str
    status: str


def each_key_once(batch: Sequence[Received[E]]) -> list[list[Received[E]]]:
    """The batch in parts in which no key comes twice, in order: one statement can change a row only once."""
    parts: list[list[Received[E]]] = []
    seen: dict[str, int] = {}
    for received in batch:
        number = seen.get(received.key, 0)
        seen[received.key] = number + 1
        if number == len(parts):
            parts.append([])
        parts[number].append(received)
    return parts


async def known_sessions(unit: Queries, facts: Sequence[SessionFact]) -> dict[str, KnownSession]:
    """What is known of the events' sessions. One that is new here has version 0."""
    rows = await unit.fetch(
        _KNOWN, column(facts, "session_id"), column(facts, "member_id"), column(facts, "provider_id")
    )
    return {
        # While a session is new here, its return may be kept at this very moment.
        str(row[0]): KnownSession(
            row[1] or 0,
            row[2],
            row[3],
            Parties(preferences_of(row[4:7]), preferences_of(row[13:16])),
            row[7] or row[1] is None,
            None if row[1] is None else KnownAppointment(*row[8:13]),
        )
        for row in rows
    }


async def follow_sessions(unit: Queries, sessions: Sequence[FollowedSession]) -> None:
    """Saves the sessions, each at most once; an older version never replaces a newer one."""
    facts = [session.fact for session in sessions]
    await unit.execute(
        _FOLLOW,
        column(facts, "session_id"),
        column(facts, "room_id"),
        column(facts, "member_id"),
        column(facts, "provider_id"),
        column(sessions, "status"),
        column(facts, "starts_at"),
        column(facts, "ends_at"),
        column(facts, "length_minutes"),
        column(facts, "modality"),
        column(facts, "time_zone"),
        column(facts, "venue_id"),
        column(facts, "session_version"),
        column(sessions, "invitation_sequence"),
    )


async def parties_of_rooms(queries: Queries, room_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Room → (member, provider) of those that are known; they never change."""
    rows = await queries.fetch("SELECT id, member_id, provider_id FROM rooms WHERE id = ANY($1::uuid[])", room_ids)
    return {str(row[0]): (row[1], row[2]) for row in rows}


async def follow_rooms(unit: Queries, rooms: Sequence[RoomFact], status: str) -> None:
    """Saves the rooms, each at most once."""
    closed_by = [_closed_by(room) for room in rooms]
    await unit.execute(
        _ROOMS,
        column(rooms, "room_id"),
        column(rooms, "member_id"),
        column(rooms, "provider_id"),
        [status] * len(rooms),
        column(rooms, "room_version"),
        closed_by,
    )


def _closed_by(room: RoomFact) -> str | None:
    if isinstance(room, RoomClosed):
        return "erasure" if room.erased else room.closed_by
    return "member" if isinstance(room, ProviderChanged) else None


async def find_session(queries: Queries, session_id: str) -> Session | None:
    """The session as it stands, if this service has heard of it."""
    row = await queries.fetch_one(_SESSION, session_id)
    return Session(str(row[0]), str(row[1]), *list(row)[2:]) if row else None


async def find_sessions(queries: Queries, session_ids: Sequence[str]) -> dict[str, Session]:
    """Those of the sessions that are known."""
    rows = await queries.fetch(_SESSIONS, list(session_ids))
    return {str(row[0]): Session(str(row[0]), str(row[1]), *list(row)[2:]) for row in rows}


async def sessions_of(queries: Queries, person_id: str, since: datetime) -> list[Session]:
    """The person's sessions, as a member or as a provider, that end after `since`, in the order of their starts."""
    rows = await queries.fetch(_SESSIONS_OF, person_id, since)
    return [Session(str(row[0]), str(row[1]), *list(row)[2:]) for row in rows]


async def find_room(queries: Queries, room_id: str) -> Room | None:
    """The room, if this service has heard of it."""
    row = await queries.fetch_one("SELECT member_id, provider_id, status FROM rooms WHERE id = $1", room_id)
    return Room(room_id, row[0], row[1], row[2]) if row else None
