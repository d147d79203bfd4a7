"""What this service learns from booking's topics: rooms with their parties, sessions with their invitation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec
from makegood_chassis.database import Queries, Row, column
from makegood_chassis.statements import Statement, any_of, arrays, batch
from makegood_contracts.envelope import Received
from makegood_contracts.events import Event
from makegood_contracts.events.rooms import ProviderChanged, RoomClosed, RoomFact
from makegood_contracts.events.sessions import SessionFact
from sqlalchemy import Text, bindparam, cast, exists, select

from makegood_notifications.domain.notices import Content, Details, Parties
from makegood_notifications.domain.plausibility import KnownAppointment
from makegood_notifications.store.contacts import PREFERENCES, preferences_of
from makegood_notifications.store.tables import names, newest, people, returns_to_tell, rooms, sessions

E = TypeVar("E", bound=Event)

_WANTED: Final = batch("wanted", [sessions.c.id, sessions.c.member_id, sessions.c.provider_id])
_MEMBER: Final = people.alias("member")
_PROVIDER: Final = people.alias("provider")
_KNOWN: Final = Statement(
    select(
        _WANTED.c.id,
        sessions.c.version,
        sessions.c.invitation_sequence,
        sessions.c.status,
        exists().where(returns_to_tell.c.session_id == _WANTED.c.id).label("untold"),
        cast(sessions.c.room_id, Text).label("room_id"),
        sessions.c.member_id,
        sessions.c.provider_id,
        sessions.c.starts_at,
        sessions.c.ends_at,
        *(_MEMBER.c[one].label(f"member_{one}") for one in PREFERENCES),
        *(_PROVIDER.c[one].label(f"provider_{one}") for one in PREFERENCES),
    ).select_from(
        _WANTED.outerjoin(sessions, sessions.c.id == _WANTED.c.id)
        .outerjoin(_MEMBER, _MEMBER.c.id == _WANTED.c.member_id)
        .outerjoin(_PROVIDER, _PROVIDER.c.id == _WANTED.c.provider_id)
    )
)

_SESSION: Final = Statement(select(sessions).where(sessions.c.id == bindparam("session_id")))
_SESSIONS: Final = Statement(select(sessions).where(any_of(sessions.c.id)))
_SESSIONS_OF: Final = Statement(f"""
SELECT {names(sessions.c)} FROM sessions
WHERE room_id IN (SELECT id FROM rooms WHERE member_id = :person_id UNION ALL SELECT id FROM rooms WHERE provider_id = :person_id)
    AND (member_id = :person_id OR provider_id = :person_id) AND ends_at > :since
ORDER BY starts_at, id
""")  # noqa: S608 (constants)
_SAVE_SESSIONS: Final = newest(sessions, never_changed=("room_id", "member_id", "provider_id"))

_ROOM: Final = [rooms.c[one] for one in ("id", "member_id", "provider_id", "status", "version", "closed_by")]
_SAVE_ROOMS: Final = newest(rooms, _ROOM, never_changed=("member_id", "provider_id"))
_PARTIES: Final = Statement(select(rooms.c.id, rooms.c.member_id, rooms.c.provider_id).where(any_of(rooms.c.id)))
_FIND_ROOM: Final = Statement(
    select(rooms.c.member_id, rooms.c.provider_id, rooms.c.status).where(rooms.c.id == bindparam("room_id"))
)


@dataclass(frozen=True, slots=True)
class KnownSession:
    """`invitation_sequence` is that of the last invitation. `untold`: a return of its credit may still have to be
    reported.
    """

    version: int
    invitation_sequence: int | None
    status: str | None
    parties: Parties
    untold: bool
    appointment: KnownAppointment | None = None
    """Whose it is, and when. None if it is new here."""


class Session(msgspec.Struct, frozen=True):
    """A session in its current state: a row of `sessions`."""

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

    @classmethod
    def after(cls, event: SessionFact, status: str, invitation_sequence: int | None) -> Session:
        """The session after an event."""
        return cls(
            event.session_id, event.room_id, event.member_id, event.provider_id, status, event.starts_at, event.ends_at,
            event.length_minutes, event.modality, event.time_zone, event.venue_id, event.session_version,
            invitation_sequence,
        )  # fmt: skip

    def content(self, details: Details | None = None) -> Content:
        """What a notice says about it."""
        return Content(
            self.id, self.room_id, self.member_id, self.provider_id, self.starts_at, self.ends_at, self.length_minutes,
            self.modality, self.time_zone, self.venue_id, details=details,
        )  # fmt: skip


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


async def known_sessions(queries: Queries, facts: Sequence[SessionFact]) -> dict[str, KnownSession]:
    """What is known of the events' sessions. A session that is new here has version 0."""
    rows = await queries.fetch(
        _KNOWN(
            id=column(facts, "session_id"),
            member_id=column(facts, "member_id"),
            provider_id=column(facts, "provider_id"),
        )
    )
    return {str(row["id"]): _known(row) for row in rows}


def _known(row: Row) -> KnownSession:
    new = row["version"] is None
    return KnownSession(
        version=row["version"] or 0,
        invitation_sequence=row["invitation_sequence"],
        status=row["status"],
        parties=Parties(preferences_of(row, "member_"), preferences_of(row, "provider_")),
        # While a session is new here, its return may be being stored at this moment.
        untold=row["untold"] or new,
        appointment=None
        if new
        else KnownAppointment(row["room_id"], row["member_id"], row["provider_id"], row["starts_at"], row["ends_at"]),
    )


async def follow_sessions(queries: Queries, followed: Sequence[Session]) -> None:
    """Saves the sessions, each at most once. An older version never replaces a newer one."""
    await queries.execute(_SAVE_SESSIONS(**arrays(sessions.c, followed)))


async def parties_of_rooms(queries: Queries, room_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Room → (member, provider), of the rooms that are known. They never change."""
    rows = await queries.fetch(_PARTIES(id=room_ids))
    return {str(row[0]): (row[1], row[2]) for row in rows}


async def follow_rooms(queries: Queries, facts: Sequence[RoomFact], status: str) -> None:
    """Saves the rooms, each at most once. An older version never replaces a newer one."""
    await queries.execute(
        _SAVE_ROOMS(
            id=column(facts, "room_id"),
            member_id=column(facts, "member_id"),
            provider_id=column(facts, "provider_id"),
            status=[status] * len(facts),
            version=column(facts, "room_version"),
            closed_by=[_closed_by(room) for room in facts],
        )
    )


def _closed_by(room: RoomFact) -> str | None:
    if isinstance(room, RoomClosed):
        return "erasure" if room.erased else room.closed_by
    return "member" if isinstance(room, ProviderChanged) else None


def session_of(row: Row) -> Session:
    """The session in a row that begins with the columns of `sessions`."""
    return Session(str(row[0]), str(row[1]), *row[2 : len(sessions.c)])


async def find_session(queries: Queries, session_id: str) -> Session | None:
    """The session in its current state, if this service knows it."""
    row = await queries.fetch_one(_SESSION(session_id=session_id))
    return session_of(row) if row else None


async def find_sessions(queries: Queries, session_ids: Sequence[str]) -> dict[str, Session]:
    """Those of the sessions that this service knows."""
    rows = await queries.fetch(_SESSIONS(id=list(session_ids)))
    return {session.id: session for session in map(session_of, rows)}


async def sessions_of(queries: Queries, person_id: str, since: datetime) -> list[Session]:
    """The person's sessions, as member or provider, that end after `since`, ordered by start."""
    return [session_of(row) for row in await queries.fetch(_SESSIONS_OF(person_id=person_id, since=since))]


async def find_room(queries: Queries, room_id: str) -> Room | None:
    """The room, if this service knows it."""
    row = await queries.fetch_one(_FIND_ROOM(room_id=room_id))
    return Room(room_id, row[0], row[1], row[2]) if row else None
