"""Reads lists: pages of sessions, their history and remarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from makegood_chassis.database import Queries, Row
from makegood_chassis.statements import Statement, any_of
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.types import UserDefinedType

from makegood_booking.domain.session import Session, SessionStatus
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.sessions import readable, sessions_of
from makegood_booking.store.tables import sessions, starts_before_moves


class _PgSnapshot(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        return "pg_snapshot"


_SNAPSHOT: Final = _PgSnapshot()


_SNAPSHOT_FORM: Final = re.compile(r"[0-9]{1,19}:[0-9]{1,19}:([0-9]{1,19}(,[0-9]{1,19})*)?")
_CURSORS_LIVE: Final = timedelta(days=1)


def is_snapshot(text: str) -> bool:
    """Whether PostgreSQL accepts the text as a pg_snapshot: `oldest running:next to come:those running`."""
    if not _SNAPSHOT_FORM.fullmatch(text):
        return False
    oldest, following, running = text.split(":")
    low, high = int(oldest), int(following)
    between = [int(number) for number in filter(None, running.split(","))]
    return 0 < low <= high < 2**63 and between == sorted(between) and all(low <= number < high for number in between)


class ListPosition(NamedTuple):
    """The place of a session in a list that is read page by page: the start as the first page saw it, the id, and the
    snapshot of that page, as `pg_current_snapshot()` reports it.
    """

    starts_at: datetime
    id: str
    snapshot: str


class Filter(msgspec.Struct, frozen=True):
    """The sessions to list. `member_id`, `provider_id`: those of either. Without both, everybody's."""

    member_id: str | None = None
    provider_id: str | None = None
    room_id: str | None = None
    status: Sequence[str] = ()
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    after: ListPosition | None = None


async def list_sessions(
    queries: Queries, policies: PolicyCache, wanted: Filter, most: int
) -> list[tuple[Session, Row]]:
    """At most `most` sessions after the place `after`, ordered by start. A start can change between two pages, so every
    page sorts a session by the start that the first page saw. Then each session that existed all the time is listed
    exactly once. `position` makes the place of a session from its row.
    """
    filters = {
        "member_id": wanted.member_id,
        "provider_id": wanted.provider_id,
        "room_id": wanted.room_id,
        "status": list(wanted.status) or None,
        "starts_from": wanted.starts_from,
        "starts_before": wanted.starts_before,
    }
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    if wanted.after is not None:
        given |= {"after_start": wanted.after.starts_at, "after_id": wanted.after.id, "snapshot": wanted.after.snapshot}
    rows = await queries.fetch(_list(frozenset(given))(**given, most=most))
    return list(zip(await sessions_of(queries, policies, rows), rows, strict=True))


def position(row: Row) -> ListPosition:
    return ListPosition(datetime.fromisoformat(row["listed_at"]), row["id"], row["snapshot"])


_S: Final = sessions.c
_MOST: Final = bindparam("most", type_=Integer())
_FROM: Final = bindparam("snapshot", type_=Text())
"""What the first page saw."""
_NOW_SEEN: Final = select(cast(func.pg_current_snapshot(), Text)).scalar_subquery()
"""What this page sees; as a query of its own it is asked once, not for each row."""
_FILTERS: Final = {
    "room_id": _S.room_id == bindparam("room_id"),
    "status": any_of(_S.status),
    "starts_from": _S.starts_at >= bindparam("starts_from"),
    "starts_before": _S.starts_at < bindparam("starts_before"),
}


@cache
def _list(given: frozenset[str]) -> Statement:
    """A page of the list that takes these parameters; the first page has no `snapshot`."""
    if "snapshot" not in given:
        return _read(_ordered(given, sessions, _S.starts_at, _NOW_SEEN))
    moved = _moved_since()
    unmoved = sessions.outerjoin(moved, moved.c.session_id == _S.id)
    here = _ordered(given, unmoved, _S.starts_at, _FROM).where(moved.c.session_id.is_(None))
    was = sessions.join(moved, moved.c.session_id == _S.id)
    there = _ordered(given, was, moved.c.starts_at, _FROM)
    both = union_all(here.subquery().select(), there.subquery().select()).subquery()
    return _read(select(both).order_by(both.c.listed_at, both.c.id).limit(_MOST))


def _read(found: Select[Any]) -> Statement:
    """The statement that returns these rows in their order, as `sessions_of` takes them."""
    rows = found.subquery()
    return Statement(select(*readable(rows.c)).order_by(rows.c.listed_at, rows.c.id))


def _moved_since() -> Subquery:
    """The sessions that moved after the snapshot, with the start that it saw."""
    table = starts_before_moves.c
    snapshot = cast(_FROM, _SNAPSHOT)
    return (
        select(table.session_id, table.starts_at)
        .ext(distinct_on(table.session_id))
        .where(
            table.moved_in >= func.pg_snapshot_xmin(snapshot),
            ~func.pg_visible_in_snapshot(table.moved_in, snapshot),
            # In a restored database, transaction numbers start again.
            table.moved_at > func.clock_timestamp() - literal(_CURSORS_LIVE),
        )
        .order_by(table.session_id, table.moved_in)
        .subquery("moved")
    )


def _ordered(
    given: frozenset[str], source: FromClause, listed_at: ColumnElement[datetime], snapshot: ColumnElement[str]
) -> Select[Any]:
    query = select(*_S, listed_at.label("listed_at"), snapshot.label("snapshot")).select_from(source)
    whose = [_S[name] == bindparam(name) for name in ("member_id", "provider_id") if name in given]
    if whose:
        query = query.where(or_(*whose))
    query = query.where(*(wanted for name, wanted in _FILTERS.items() if name in given))
    if "snapshot" in given:
        place = bindparam("after_start", type_=_S.starts_at.type), bindparam("after_id", type_=_S.id.type)
        query = query.where(tuple_(listed_at, _S.id) > tuple_(*place))
    return query.order_by(listed_at, _S.id).limit(_MOST)


_HISTORY: Final = """
SELECT s.member_id, s.provider_id, s.status, h.version, h.at::text, h.type, h.by, h.detail
FROM sessions AS s LEFT JOIN session_history AS h ON h.session_id = s.id AND h.version > $2
WHERE s.id = $1 ORDER BY h.version LIMIT $3
"""


class History(NamedTuple):
    """A part of a session's history, and what decides who may see what of it. `rows`: version, at (as text), type, by, detail."""

    member_id: str
    provider_id: str
    status: SessionStatus
    rows: list[Row]


async def read_history(queries: Queries, session_id: str, after: int, most: int) -> History | None:
    """At most `most` entries after version `after`, oldest first. None if there is no such session."""
    rows = await queries.fetch(_HISTORY, session_id, after, most)
    if not rows:
        return None
    first = rows[0]
    if first["version"] is None:  # nothing comes after it
        rows = []
    return History(first["member_id"], first["provider_id"], first["status"], rows)


@dataclass(frozen=True, slots=True)
class Answered:
    """How the parties responded to a session. `canceller`: the party that cancelled it, or the platform. `confirmed`:
    whether the provider confirmed it.
    """

    canceller: str | None = None
    confirmed: bool = False


async def read_answered(queries: Queries, session_id: str) -> Answered:
    """How the parties responded, from the session's history."""
    rows = await queries.fetch(
        "SELECT type, by FROM session_history "
        "WHERE session_id = $1 AND type IN ('SessionCancelled', 'SessionConfirmed')",
        session_id,
    )
    by = {row["type"]: row["by"] for row in rows}
    return Answered(by.get("SessionCancelled"), "SessionConfirmed" in by)
