"""Sessions, their history and deadlines: one statement for however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_contracts.envelope import Cause
from makegood_contracts.events import SessionExtended, SessionMoved, SessionZoneChanged
from makegood_contracts.reasons import Reason
from makegood_plans.plans import Money
from msgspec import convert, to_builtins

from makegood_booking.domain.attendance import next_due
from makegood_booking.domain.history import detail, made_by
from makegood_booking.domain.presence import Attendance
from makegood_booking.domain.rebooking import PastBooking, rights
from makegood_booking.domain.reschedule import Reschedule
from makegood_booking.domain.session import Appointment, Session, Transition
from makegood_booking.store.policies import PolicyCache

DEADLINE: Final = "session"

COLUMNS: Final = (
    "id, room_id, member_id, provider_id, starts_at, ends_at, length_minutes, modality, time_zone, venue_id, booked_by, "
    "requested_at, policy_version, status, version, slot_state, funding, credit_state, reasons, purchasable, confirm_by, "
    "member_joined_at, member_left_at, provider_joined_at, provider_left_at, together_since, together, first_left, "
    "outcome_asked, absent_party, lot_id::text, blocked_from, blocked_until, move, moved_by_provider, moved_at_short_notice, "
    "reconfirmation, extended_minutes, invoiced_minor, invoiced_early, co_pay, reopens_room, given_up, missed_at"
)
_JOINED: Final = COLUMNS.split(", ").index("member_joined_at") + 1
_ATTENDANCE: Final = slice(_JOINED, _JOINED + len(fields(Attendance)))
"""Where the attendance stands, once the reasons have become two."""
_MOVE: Final = COLUMNS.split(", ").index("move") - len(COLUMNS.split(", "))
"""Where the move stands, from the end."""
_CO_PAY: Final = COLUMNS.split(", ").index("co_pay") - len(COLUMNS.split(", "))
_READ = f"SELECT {COLUMNS} FROM sessions WHERE id = $1"  # noqa: S608
_READ_MANY = f"SELECT {COLUMNS} FROM sessions WHERE id = ANY($1::uuid[])"  # noqa: S608
_LOCK = f"{_READ_MANY} ORDER BY id FOR UPDATE"
_LOCK_ONE = f"{_READ} FOR UPDATE"
_LOCK_AHEAD = f"""
SELECT {COLUMNS} FROM sessions
WHERE member_id = $1 AND room_id = $2 AND starts_at > $3 AND status IN ('requested', 'reserved', 'confirmed')
ORDER BY id FOR UPDATE
"""  # noqa: S608
_LOCK_AHEAD_OF = f"""
SELECT {COLUMNS} FROM sessions
WHERE (member_id = ANY($1::text[]) OR provider_id = ANY($1::text[])) AND starts_at > $2
    AND status IN ('requested', 'reserved', 'confirmed')
    AND EXISTS (SELECT FROM rooms WHERE rooms.id = sessions.room_id AND rooms.status = 'closed')
ORDER BY id FOR UPDATE
"""  # noqa: S608
_READ_BOOKED = """
SELECT id::text, length_minutes - extended_minutes, modality, requested_at, status, given_up,
    CASE WHEN status = 'provider_missed' THEN coalesce(missed_at, starts_at) END
FROM sessions WHERE member_id = $1 AND room_id = $2
"""
_REMEMBER = """
WITH remembered AS (
    INSERT INTO session_history (session_id, version, at, type, by, detail)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])
)"""
_INSERT = f"""{_REMEMBER}
INSERT INTO sessions (id, room_id, member_id, provider_id, starts_at, ends_at, length_minutes, modality, time_zone, venue_id,
                      booked_by, requested_at, policy_version, status, version, slot_state, funding, credit_state,
                      reopens_room)
SELECT * FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::int[],
                     $14::text[], $15::text[], $16::text[], $17::text[], $18::timestamptz[], $19::int[], $20::text[],
                     $21::int[], $22::text[], $23::text[], $24::text[], $25::bool[])
"""  # noqa: S608
_UPDATE = f"""{_REMEMBER}
UPDATE sessions AS s
SET status = n.status, version = n.version, slot_state = n.slot_state, funding = n.funding, credit_state = n.credit_state,
    reasons = n.reasons, purchasable = n.purchasable, confirm_by = n.confirm_by, member_joined_at = n.member_joined_at,
    member_left_at = n.member_left_at, provider_joined_at = n.provider_joined_at,
    provider_left_at = n.provider_left_at, absent_party = n.absent_party, lot_id = n.lot_id,
    blocked_from = n.blocked_from, blocked_until = n.blocked_until, move = n.move,
    moved_by_provider = n.moved_by_provider, reconfirmation = n.reconfirmation, together_since = n.together_since,
    together = n.together, first_left = n.first_left, moved_at_short_notice = n.moved_at_short_notice,
    co_pay = n.co_pay, outcome_asked = n.outcome_asked, given_up = n.given_up, missed_at = n.missed_at
FROM unnest($7::uuid[], $8::text[], $9::int[], $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::bool[],
            $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::text[],
            $21::uuid[], $22::timestamptz[], $23::timestamptz[], $24::jsonb[], $25::bool[], $26::text[],
            $27::timestamptz[], $28::interval[], $29::text[], $30::bool[], $31::jsonb[], $32::bool[],
            $33::bool[], $34::timestamptz[])
     AS n (id, status, version, slot_state, funding, credit_state, reasons, purchasable, confirm_by, member_joined_at,
           member_left_at, provider_joined_at, provider_left_at, absent_party, lot_id, blocked_from, blocked_until,
           move, moved_by_provider, reconfirmation, together_since, together, first_left,
           moved_at_short_notice, co_pay, outcome_asked, given_up, missed_at)
WHERE s.id = n.id
"""  # noqa: S608
_REBOOK = """
WITH n AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::int[], $5::text[], $6::text[], $7::int[],
                         $8::bigint[], $9::bool[])
        AS n (id, starts_at, ends_at, length_minutes, time_zone, venue_id, extended_minutes, invoiced_minor, invoiced_early)
), kept AS (
    INSERT INTO starts_before_moves (session_id, starts_at)
    SELECT s.id, s.starts_at FROM sessions AS s JOIN n ON s.id = n.id WHERE s.starts_at <> n.starts_at
    ON CONFLICT DO NOTHING
)
UPDATE sessions AS s
SET starts_at = n.starts_at, ends_at = n.ends_at, length_minutes = n.length_minutes, time_zone = n.time_zone,
    venue_id = n.venue_id, extended_minutes = n.extended_minutes, invoiced_minor = n.invoiced_minor,
    invoiced_early = n.invoiced_early
FROM n WHERE s.id = n.id
"""
_MOVING = (SessionMoved, SessionExtended, SessionZoneChanged)


async def read_session(queries: Queries, policies: PolicyCache, session_id: str) -> Session | None:
    """One session as it stands, not locked."""
    row = await queries.fetch_one(_READ, session_id)
    return (await sessions_of(queries, policies, [row]))[0] if row else None


async def lock_session(unit: UnitOfWork, policies: PolicyCache, session_id: str) -> Session | None:
    """One session, locked until the unit ends."""
    row = await unit.fetch_one(_LOCK_ONE, session_id)
    return (await sessions_of(unit, policies, [row]))[0] if row else None


async def lock_sessions(unit: UnitOfWork, policies: PolicyCache, session_ids: Sequence[str]) -> dict[str, Session]:
    """The sessions of these ids by id, locked in one order for all."""
    rows = await unit.fetch(_LOCK, session_ids)
    return {session.id: session for session in await sessions_of(unit, policies, rows)}


async def lock_ahead(unit: UnitOfWork, policies: PolicyCache, room_id: str, member_id: str) -> list[Session]:
    """The sessions of a room (of this member) that lie ahead, locked in the order of all."""
    return await sessions_of(unit, policies, await unit.fetch(_LOCK_AHEAD, member_id, room_id, unit.now))


async def lock_ahead_of(unit: UnitOfWork, policies: PolicyCache, people: Sequence[str]) -> list[Session]:
    """The sessions of these people that lie ahead in rooms that are closed, locked in the order of all."""
    return await sessions_of(unit, policies, await unit.fetch(_LOCK_AHEAD_OF, people, unit.now))


async def read_rights(queries: Queries, room_id: str, member_id: str, now: datetime) -> list[PastBooking]:
    """What can still be rebooked in a room (MISS-4). Every booking counts, since each used up the right that it found."""
    rows = await queries.fetch(_READ_BOOKED, member_id, room_id)
    return rights([PastBooking(*row) for row in rows], now)


async def sessions_of(queries: Queries, policies: PolicyCache, rows: Sequence[Row | tuple[Any, ...]]) -> list[Session]:
    """Sessions out of rows of COLUMNS."""
    await policies.load(queries, {row[12] for row in rows})
    return [_session(row, policies) for row in rows]


def _session(row: Row | tuple[Any, ...], policies: PolicyCache) -> Session:
    # By position: this runs for each event. The order is that of COLUMNS.
    values: list[Any] = list(row)
    values[0], values[1], values[12] = str(values[0]), str(values[1]), policies.of(values[12])
    reasons = values[18]
    values[18:19] = ((), ()) if reasons is None else (_reasons(reasons, "slot"), _reasons(reasons, "credit"))
    if values[_MOVE] is not None:
        values[_MOVE] = convert(values[_MOVE], Reschedule)
    if values[_CO_PAY] is not None:
        values[_CO_PAY] = convert(values[_CO_PAY], Money)
    values[_ATTENDANCE] = (Attendance(*values[_ATTENDANCE]),)
    return Session(Appointment(*values[:13]), *values[13:])


async def add_sessions(unit: UnitOfWork, made: Sequence[tuple[Transition, Cause]]) -> None:
    """Inserts new sessions, publishes their events and sets their deadlines."""
    sessions = [changed.session for changed, _ in made]
    booked = [session.booked for session in sessions]
    await unit.execute(
        _INSERT,
        *_tell(unit, made),
        [b.session_id for b in booked],
        [b.room_id for b in booked],
        [b.member_id for b in booked],
        [b.provider_id for b in booked],
        [b.starts_at for b in booked],
        [b.ends_at for b in booked],
        [b.length_minutes for b in booked],
        [b.modality for b in booked],
        [b.time_zone for b in booked],
        [b.venue_id for b in booked],
        [b.booked_by for b in booked],
        [b.requested_at for b in booked],
        [b.policy.version for b in booked],
        [s.status for s in sessions],
        [s.version for s in sessions],
        [s.slot for s in sessions],
        [s.funding for s in sessions],
        [s.credit for s in sessions],
        [s.reopens_room for s in sessions],
    )


async def save_sessions(unit: UnitOfWork, changes: Sequence[tuple[Transition, Cause]]) -> None:
    """Writes sessions that were locked in this unit, publishes their events and sets their deadlines.

    A session that changed more than once stands there more than once, in order; its last state is written.
    """
    last = {changed.session.id: changed.session for changed, _ in changes}
    sessions = list(last.values())
    if not sessions:
        return
    attendance = [session.attendance for session in sessions]
    await unit.execute(
        _UPDATE,
        *_tell(unit, changes),
        list(last),
        [s.status for s in sessions],
        [s.version for s in sessions],
        [s.slot for s in sessions],
        [s.funding for s in sessions],
        [s.credit for s in sessions],
        [_plain_reasons(s) for s in sessions],
        [s.purchasable for s in sessions],
        [s.confirm_by for s in sessions],
        [seen.member_joined_at for seen in attendance],
        [seen.member_left_at for seen in attendance],
        [seen.provider_joined_at for seen in attendance],
        [seen.provider_left_at for seen in attendance],
        [s.absent_party for s in sessions],
        [s.lot_id for s in sessions],
        [s.blocked_from for s in sessions],
        [s.blocked_until for s in sessions],
        [None if s.move is None else to_builtins(s.move) for s in sessions],
        [s.moved_by_provider for s in sessions],
        [s.reconfirmation for s in sessions],
        [seen.together_since for seen in attendance],
        [seen.together for seen in attendance],
        [seen.first_left for seen in attendance],
        [s.moved_at_short_notice for s in sessions],
        [None if s.co_pay is None else to_builtins(s.co_pay) for s in sessions],
        [s.outcome_asked for s in sessions],
        [s.given_up for s in sessions],
        [s.missed_at for s in sessions],
    )
    moved = {
        changed.session.id for changed, _ in changes if any(isinstance(event, _MOVING) for event in changed.events)
    }
    if moved:
        await _rebook(unit, [last[session_id] for session_id in moved])


async def _rebook(unit: UnitOfWork, sessions: Sequence[Session]) -> None:
    booked = [session.booked for session in sessions]
    await unit.execute(
        _REBOOK,
        [b.session_id for b in booked],
        [b.starts_at for b in booked],
        [b.ends_at for b in booked],
        [b.length_minutes for b in booked],
        [b.time_zone for b in booked],
        [b.venue_id for b in booked],
        [s.extended_minutes for s in sessions],
        [s.invoiced_minor for s in sessions],
        [s.invoiced_early for s in sessions],
    )


def _tell(unit: UnitOfWork, changes: Sequence[tuple[Transition, Cause]]) -> list[list[Any]]:
    """Publishes the changes' events and sets their deadlines; answers the columns of their history."""
    rows: list[tuple[str, int, datetime, str, str, str | None]] = []
    for changed, cause in changes:
        session = changed.session
        if not changed.events:
            continue
        sequence = session.version - len(changed.events)
        for event in changed.events:
            sequence += 1
            unit.publish(event, sequence=sequence, cause=cause)
            name = type(event).__name__
            rows.append((session.id, sequence, unit.now, name, made_by(event), detail(event)))
        unit.set_deadline(DEADLINE, session.id, next_due(session))
    return [[row[place] for row in rows] for place in range(6)]


def _reasons(stored: dict[str, Any], side: str) -> tuple[Reason, ...]:
    return tuple(convert(stored.get(side, []), list[Reason]))


def _plain_reasons(session: Session) -> dict[str, Any] | None:
    if not session.slot_reasons and not session.credit_reasons:
        return None
    return {"slot": to_builtins(session.slot_reasons), "credit": to_builtins(session.credit_reasons)}
