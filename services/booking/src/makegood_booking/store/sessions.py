"""Sessions, their history and deadlines. One statement handles any number of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any, Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement, any_of, as_text, batch
from makegood_contracts.envelope import Cause
from makegood_contracts.events import SessionExtended, SessionMoved, SessionZoneChanged
from makegood_contracts.reasons import Reason
from makegood_plans.plans import Money
from msgspec import Struct, convert, to_builtins
from msgspec.structs import fields
from sqlalchemy import (
    CTE,
    UUID,
    ColumnElement,
    DateTime,
    Interval,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert

from makegood_booking.domain.attendance import next_due
from makegood_booking.domain.history import detail, made_by
from makegood_booking.domain.presence import Attendance
from makegood_booking.domain.rebooking import PastBooking, rights
from makegood_booking.domain.reschedule import Reschedule
from makegood_booking.domain.session import Appointment, Session, Transition
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.tables import (
    WRITTEN_ONCE,
    WRITTEN_WHEN_MOVED,
    session_history,
    sessions,
    starts_before_moves,
)

DEADLINE: Final = "session"

_COLUMNS: Final = sessions.c.keys()
_BOOKED: Final = [
    name
    for name in _COLUMNS
    if name in WRITTEN_ONCE
    or name in ("starts_at", "ends_at", "length_minutes", "time_zone", "venue_id")
    or name in ("status", "version", "slot_state", "funding", "credit_state")
]
"""The columns that a new session is inserted with. The others have defaults."""
_STATE: Final = [name for name in _COLUMNS if name not in WRITTEN_ONCE | WRITTEN_WHEN_MOVED]
_MOVED: Final = [name for name in _COLUMNS if name in WRITTEN_WHEN_MOVED]


def _rows(columns: Collection[str]) -> Any:
    """A table of sessions passed as parameters, with these columns."""
    return batch("new", [sessions.c[name] for name in columns])


def _history() -> CTE:
    """The part of a statement that adds what happened to the history."""
    told = batch("told", session_history.c, prefix="history_")
    return insert(session_history).from_select(session_history.c.keys(), select(told)).cte("remembered")


def _insert() -> Statement:
    return Statement(insert(sessions).from_select(_BOOKED, select(_rows(_BOOKED))).add_cte(_history()))


def _update() -> Statement:
    new = _rows(["id", *_STATE])
    changes: dict[str, ColumnElement[Any]] = {name: new.c[name] for name in _STATE}
    return Statement(update(sessions).values(changes).where(sessions.c.id == new.c.id).add_cte(_history()))


def _reschedule() -> Statement:
    """Saves the new times, and the old start, which lists that are being read page by page need."""
    new = select(_rows(["id", *_MOVED])).cte("moved")
    old = sessions.alias("old")
    starts = select(old.c.id, old.c.starts_at).join(new, old.c.id == new.c.id).where(old.c.starts_at != new.c.starts_at)
    kept = pg_insert(starts_before_moves).from_select(["session_id", "starts_at"], starts).on_conflict_do_nothing()
    changes: dict[str, ColumnElement[Any]] = {name: new.c[name] for name in _MOVED}
    return Statement(update(sessions).values(changes).where(sessions.c.id == new.c.id).add_cte(kept.cte("kept")))


def readable(columns: Iterable[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """The columns of a session as `sessions_of` takes them. Ids and instants are text, of which Python makes an instant in a
    fifth of the time that asyncpg takes. NULL stands for no time together, which is usual.
    """
    return [_readable(each) for each in columns]


def _readable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, UUID | DateTime):
        return as_text(column)
    if isinstance(column.type, Interval):
        return func.nullif(column, literal_column("interval '0'")).label(column.key)
    return column


_SELECT: Final = select(*readable(sessions.c))
_BY_ID: Final = _SELECT.where(sessions.c.id == bindparam("id"))
_READ: Final = Statement(_BY_ID)
_LOCK_ONE: Final = Statement(_BY_ID.with_for_update())
_LOCK: Final = Statement(_SELECT.where(any_of(sessions.c.id)).order_by(sessions.c.id).with_for_update())
_AHEAD: Final = "starts_at > :now AND status IN ('requested', 'reserved', 'confirmed')"
_LOCK_AHEAD: Final = Statement(
    _SELECT.where(text(f"member_id = :member_id AND room_id = :room_id AND {_AHEAD}"))
    .order_by(sessions.c.id)
    .with_for_update()
)
_LOCK_AHEAD_OF: Final = Statement(
    _SELECT.where(
        text(
            f"(member_id = ANY(:people) OR provider_id = ANY(:people)) AND {_AHEAD} "
            "AND EXISTS (SELECT FROM rooms WHERE rooms.id = sessions.room_id AND rooms.status = 'closed')"
        )
    )
    .order_by(sessions.c.id)
    .with_for_update()
)
_READ_BOOKED: Final = """
SELECT id::text, length_minutes - extended_minutes, modality, requested_at, status, given_up,
    CASE WHEN status = 'provider_missed' THEN coalesce(missed_at, starts_at) END
FROM sessions WHERE member_id = $1 AND room_id = $2
"""
_INSERT: Final = _insert()
_UPDATE: Final = _update()
_RESCHEDULE: Final = _reschedule()
_TIMES_CHANGED: Final = (SessionMoved, SessionExtended, SessionZoneChanged)


async def read_session(queries: Queries, policies: PolicyCache, session_id: str) -> Session | None:
    """One session in its current state, not locked."""
    row = await queries.fetch_one(_READ(id=session_id))
    return (await sessions_of(queries, policies, [row]))[0] if row else None


async def lock_session(unit: UnitOfWork, policies: PolicyCache, session_id: str) -> Session | None:
    """One session, locked until the unit ends."""
    row = await unit.fetch_one(_LOCK_ONE(id=session_id))
    return (await sessions_of(unit, policies, [row]))[0] if row else None


async def lock_sessions(unit: UnitOfWork, policies: PolicyCache, session_ids: Sequence[str]) -> dict[str, Session]:
    """The sessions with these ids, by id, locked in a fixed order."""
    rows = await unit.fetch(_LOCK(id=session_ids))
    return {session.id: session for session in await sessions_of(unit, policies, rows)}


async def lock_ahead(unit: UnitOfWork, policies: PolicyCache, room_id: str, member_id: str) -> list[Session]:
    """The future sessions of a room (of this member), locked in the same fixed order."""
    rows = await unit.fetch(_LOCK_AHEAD(member_id=member_id, room_id=room_id, now=unit.now))
    return await sessions_of(unit, policies, rows)


async def lock_ahead_of(unit: UnitOfWork, policies: PolicyCache, people: Sequence[str]) -> list[Session]:
    """The future sessions of these people in closed rooms, locked in the same fixed order."""
    return await sessions_of(unit, policies, await unit.fetch(_LOCK_AHEAD_OF(people=people, now=unit.now)))


async def read_rights(queries: Queries, room_id: str, member_id: str, now: datetime) -> list[PastBooking]:
    """What can still be rebooked in a room (MISS-4). Every booking counts, because each used up a right that existed
    then.
    """
    rows = await queries.fetch(_READ_BOOKED, member_id, room_id)
    return rights([PastBooking(*row) for row in rows], now)


def add_sessions(unit: UnitOfWork, made: Sequence[tuple[Transition, Cause]]) -> None:
    """Inserts new sessions, publishes their events and sets their deadlines."""
    history = _publish(unit, made)
    unit.defer(_INSERT(**history, **_arrays([new.session for new, _ in made], _BOOKED)))


def save_sessions(unit: UnitOfWork, changes: Sequence[tuple[Transition, Cause]]) -> None:
    """Writes sessions that were locked in this unit, publishes their events and sets their deadlines.

    A session that changed more than once is listed more than once, in order. Its last state is written.
    """
    last = {changed.session.id: changed.session for changed, _ in changes}
    if not last:
        return
    history = _publish(unit, changes)
    unit.defer(_UPDATE(**history, **_arrays(list(last.values()), ["id", *_STATE])))
    moved = {
        changed.session.id
        for changed, _ in changes
        if any(isinstance(event, _TIMES_CHANGED) for event in changed.events)
    }
    if moved:
        unit.defer(_RESCHEDULE(**_arrays([last[session_id] for session_id in moved], ["id", *_MOVED])))


def _publish(unit: UnitOfWork, changes: Sequence[tuple[Transition, Cause]]) -> dict[str, list[Any]]:
    """Publishes the changes' events and sets their deadlines. Returns the parameters of `_history`."""
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
    return {f"history_{name}": [row[n] for row in rows] for n, name in enumerate(session_history.c.keys())}


async def sessions_of(queries: Queries, policies: PolicyCache, rows: Sequence[Row]) -> list[Session]:
    """Builds sessions from rows of their `readable` columns, which others can follow."""
    await policies.load(queries, {row["policy_version"] for row in rows})
    return [_session(row, policies) for row in rows]


def _places(kind: type[Struct]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Returns the function that takes a struct's values out of a row."""
    columns = {"session_id": "id", "policy": "policy_version", "slot": "slot_state", "credit": "credit_state"}
    names = [*_COLUMNS, "slot_reasons", "credit_reasons", "attendance", "booked"]
    return itemgetter(*(names.index(columns.get(field.name, field.name)) for field in fields(kind)))


_ATTENDANCE: Final = _places(Attendance)
_APPOINTMENT: Final = _places(Appointment)
_SESSION: Final = _places(Session)
_POLICY, _TOGETHER, _REASONS, _MOVE, _CO_PAY = map(
    _COLUMNS.index, ("policy_version", "together", "reasons", "move", "co_pay")
)
_INSTANTS: Final = [place for place, column in enumerate(sessions.c) if isinstance(column.type, DateTime)]


def _session(row: Row, policies: PolicyCache) -> Session:
    # By position, because this runs for each event.
    values: list[Any] = list(row[: len(_COLUMNS)])
    for place in _INSTANTS:
        if values[place] is not None:
            values[place] = datetime.fromisoformat(values[place])
    values[_POLICY], values[_TOGETHER] = policies.of(values[_POLICY]), values[_TOGETHER] or timedelta()
    if values[_MOVE] is not None:
        values[_MOVE] = convert(values[_MOVE], Reschedule)
    if values[_CO_PAY] is not None:
        values[_CO_PAY] = convert(values[_CO_PAY], Money)
    reasons = values[_REASONS]
    values += ((), ()) if reasons is None else (_reasons(reasons, "slot"), _reasons(reasons, "credit"))
    values += Attendance(*_ATTENDANCE(values)), Appointment(*_APPOINTMENT(values))
    return Session(*_SESSION(values))


def _reasons(stored: dict[str, Any], side: str) -> tuple[Reason, ...]:
    return tuple(convert(stored.get(side, []), list[Reason]))


def _plain_reasons(session: Session) -> dict[str, Any] | None:
    if not session.slot_reasons and not session.credit_reasons:
        return None
    return {"slot": to_builtins(session.slot_reasons), "credit": to_builtins(session.credit_reasons)}


def _arrays(written: Sequence[Session], columns: Collection[str]) -> dict[str, list[Any]]:
    """The parameters of `_rows`."""
    parts: dict[type, Sequence[Any]] = {
        Session: written,
        Appointment: [session.booked for session in written],
        Attendance: [session.attendance for session in written],
    }
    values = ((name, *_VALUES[name]) for name in columns)
    return {name: list(map(value, parts[part])) for name, part, value in values}


def _value(name: str) -> tuple[type, Callable[[Any], Any]]:
    """The value of a column: an attribute of the session, or of a part of it."""
    match name:
        case "id":
            return Appointment, attrgetter("session_id")
        case "policy_version":
            return Appointment, attrgetter("policy.version")
        case "slot_state" | "credit_state":
            return Session, attrgetter(name.removesuffix("_state"))
        case "reasons":
            return Session, _plain_reasons
        case "move" | "co_pay":
            return Session, lambda session: None if (value := getattr(session, name)) is None else to_builtins(value)
    parts = (part for part in (Appointment, Attendance) if name in {field.name for field in fields(part)})
    return next(parts, Session), attrgetter(name)


_VALUES: Final = {name: _value(name) for name in _COLUMNS}
