"""Reads lists: pages of sessions, their history and remarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from makegood_chassis.database import Queries, Row
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Text,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.types import UserDefinedType

from makegood_booking.domain.session import Session
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.sessions import sessions_of
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


@dataclass(frozen=True, slots=True)
class Filter:
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
) -> list[tuple[Session, ListPosition]]:
    """At most `most` sessions after the place `after`, ordered by start. A start can change between two pages, so every
    page sorts a session by the start that the first page saw. Then each session that existed all the time is listed
    exactly once.
    """
    snapshot = literal(wanted.after.snapshot, Text) if wanted.after else cast(func.pg_current_snapshot(), Text)
    if wanted.after is None:
        query = _ordered(wanted, sessions, sessions.c.starts_at, snapshot, most)
    else:
        moved = _moved_since(wanted.after.snapshot)
        unmoved = sessions.outerjoin(moved, moved.c.session_id == sessions.c.id)
        here = _ordered(wanted, unmoved, sessions.c.starts_at, snapshot, most).where(moved.c.session_id.is_(None))
        was = sessions.join(moved, moved.c.session_id == sessions.c.id)
        there = _ordered(wanted, was, moved.c.starts_at, snapshot, most)
        both = union_all(here.subquery().select(), there.subquery().select()).subquery()
        query = select(both).order_by(both.c.listed_at, both.c.id).limit(most)
    rows = await queries.fetch(query)
    found = await sessions_of(queries, policies, rows)
    return [
        (session, ListPosition(row["listed_at"], session.id, row["snapshot"]))
        for session, row in zip(found, rows, strict=True)
    ]


def _moved_since(snapshot: str) -> Subquery:
    """The sessions that moved after the snapshot, with the start that it saw."""
    table = starts_before_moves.c
    seen = func.pg_visible_in_snapshot(table.moved_in, cast(literal(snapshot, Text), _SNAPSHOT))
    return (
        select(table.session_id, table.starts_at)
        .ext(distinct_on(table.session_id))
        .where(
            table.moved_in >= func.pg_snapshot_xmin(cast(literal(snapshot, Text), _SNAPSHOT)),
            ~seen,
            # In a restored database, transaction numbers start again.
            table.moved_at > func.clock_timestamp() - literal(_CURSORS_LIVE),
        )
        .order_by(table.session_id, table.moved_in)
        .subquery("moved")
    )


def _ordered(
    wanted: Filter, source: FromClause, listed_at: ColumnElement[datetime], snapshot: ColumnElement[str], most: int
) -> Select[Any]:
    table = sessions.c
    query = select(*table, listed_at.label("listed_at"), snapshot.label("snapshot")).select_from(source)
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
        query = query.where(table.status == any_(literal(list(wanted.status), ARRAY(Text))))
    if wanted.starts_from is not None:
        query = query.where(table.starts_at >= wanted.starts_from)
    if wanted.starts_before is not None:
        query = query.where(table.starts_at < wanted.starts_before)
    if wanted.after is not None:
        place = literal(wanted.after.starts_at, table.starts_at.type), literal(wanted.after.id, table.id.type)
        query = query.where(tuple_(listed_at, table.id) > tuple_(*place))
    return query.order_by(listed_at, table.id).limit(most)


async def read_history(queries: Queries, session_id: str, after: int, most: int) -> list[Row]:
    """At most `most` entries (version, at, type, by, detail) after version `after`, oldest first."""
    return await queries.fetch(
        "SELECT version, at, type, by, detail FROM session_history WHERE session_id = $1 AND version > $2 "
        "ORDER BY version LIMIT $3",
        session_id,
        after,
        most,
    )


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
