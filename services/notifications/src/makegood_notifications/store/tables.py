"""The service's tables: the only list of their columns. The migrations create the tables. Statements with many columns
are made from these: `names` and `unnested` write SQL text, `bound` its parameters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from makegood_chassis.statements import ID, MOMENT, Statement, batch
from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, LargeBinary, MetaData, Table, Text, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.elements import ColumnElement

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]

metadata = MetaData()

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("time_zone", Text),
    Column("locale", Text),
    Column("by_email", Boolean),
    Column("by_whatsapp", Boolean),
    Column("by_chat", Boolean),
    Column("version", Integer),
    Column("updated_at", MOMENT),
    Column("key_published", Boolean),
)

rooms = Table(
    "rooms",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("status", Text),
    Column("version", Integer),
    Column("closed_by", Text),
    Column("posted", Integer),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("room_id", ID),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("status", Text),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("length_minutes", Integer),
    Column("modality", Text),
    Column("time_zone", Text),
    Column("venue_id", Text),
    Column("version", Integer),
    Column("invitation_sequence", Integer),
)

venues = Table(
    "venues",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("place", Text),
    Column("version", BigInteger),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("member_id", Text),
    Column("plan_kind", Text),
    Column("starts_on", Date),
    Column("ends_on", Date),
    Column("time_zone", Text),
    Column("lengths", ARRAY(Integer)),
    Column("psychiatry_lengths", ARRAY(Integer)),
    Column("reminder_channels", ARRAY(Text)),
)

returns_to_tell = Table(
    "returns_to_tell",
    metadata,
    Column("event_id", ID, primary_key=True),
    Column("session_id", ID),
    Column("correlation_id", Text),
    Column("traceparent", Text),
    Column("occurred_at", MOMENT),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("event_id", ID),
    Column("person_id", Text),
    Column("channel", Text),
    Column("template", Text),
    Column("subject", Text),
    Column("status", Text),
    Column("session_id", ID),
    Column("facts", JSONB),
    Column("correlation_id", Text),
    Column("traceparent", Text),
    Column("occurred_at", MOMENT),
    Column("sent_at", MOMENT),
    Column("attempts", Integer),
    Column("reason", Text),
    Column("next_attempt_at", MOMENT),
    Column("position", BigInteger),
    Column("withdrawn", Text),
    Column("invited", Text),
    Column("recipient", Text),
)

chat_messages = Table(
    "chat_messages",
    metadata,
    Column("id", ID, primary_key=True),
    Column("room_id", ID),
    Column("kind", Text),
    Column("template", Text),
    Column("text", Text),
    Column("sealed", LargeBinary),
    Column("sender_id", Text),
    Column("sent_at", MOMENT),
    Column("event_id", ID),
)

stream = Table(
    "stream",
    metadata,
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("kind", Text),
    Column("data", JSONB),
)


def newest(
    table: Table, columns: Sequence[Column[Any]] | None = None, *, never_changed: Collection[str] = ()
) -> Statement:
    """Saves a batch of rows, each at most once. An older version never replaces a newer one."""
    columns = columns or list(table.c)
    new = batch("new", columns)
    insert_ = insert(table).from_select([each.name for each in columns], select(new).order_by(new.c.id))
    changed = {each.name: insert_.excluded[each.name] for each in columns if each.name not in ("id", *never_changed)}
    return Statement(
        insert_.on_conflict_do_update(
            index_elements=[table.c.id], set_=changed, where=table.c.version < insert_.excluded.version
        )
    )


def names(columns: Iterable[ColumnElement[Any]], table: str = "") -> str:
    """The columns' names, separated by commas, each prefixed with `table`."""
    return ", ".join(f"{table}.{each.key}" if table else str(each.key) for each in columns)


def unnested(rows: str, columns: Sequence[ColumnElement[Any]]) -> str:
    """A table `rows` for a FROM: one array parameter `:rows_column` for each column."""
    arrays = (f"CAST(:{rows}_{each.key} AS {each.type.compile(dialect=_DIALECT)}[])" for each in columns)
    return f"unnest({', '.join(arrays)}) AS {rows} ({names(columns)})"


def bound(rows: str, columns: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> dict[str, list[Any]]:
    """The parameters of `unnested`: for each column, the values of the attribute of that name."""
    return {f"{rows}_{each.key}": [getattr(one, str(each.key)) for one in values] for each in columns}
