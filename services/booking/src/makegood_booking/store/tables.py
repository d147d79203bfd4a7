"""The service's tables: the only list of their columns. Statements are compiled from it; the migrations create the
tables.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from makegood_chassis.statements import ID, MOMENT, Statement
from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, Interval, MetaData, Select, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

metadata = MetaData()

policies = Table(
    "policies",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("id", Text),
    Column("numbers", JSONB),
    Column("in_force_from", MOMENT),
)

rooms = Table(
    "rooms",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("status", Text),
    Column("created_at", MOMENT),
    Column("last_activity_at", MOMENT),
    Column("version", Integer),
    Column("closed_by", Text),
    Column("left_free_at", MOMENT),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("room_id", ID),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("length_minutes", Integer),
    Column("modality", Text),
    Column("time_zone", Text),
    Column("venue_id", Text),
    Column("booked_by", Text),
    Column("requested_at", MOMENT),
    Column("policy_version", Integer),
    Column("status", Text),
    Column("version", Integer),
    Column("slot_state", Text),
    Column("funding", Text),
    Column("credit_state", Text),
    Column("reasons", JSONB),
    Column("purchasable", Boolean),
    Column("confirm_by", MOMENT),
    Column("member_joined_at", MOMENT),
    Column("member_left_at", MOMENT),
    Column("provider_joined_at", MOMENT),
    Column("provider_left_at", MOMENT),
    Column("together_since", MOMENT),
    Column("together", Interval),
    Column("first_left", Text),
    Column("outcome_asked", Boolean),
    Column("absent_party", Text),
    Column("lot_id", ID),
    Column("blocked_from", MOMENT),
    Column("blocked_until", MOMENT),
    Column("move", JSONB),
    Column("moved_by_provider", Boolean),
    Column("moved_at_short_notice", Boolean),
    Column("reconfirmation", Text),
    Column("extended_minutes", Integer),
    Column("invoiced_minor", BigInteger),
    Column("invoiced_early", Boolean),
    Column("co_pay", JSONB),
    Column("reopens_room", Boolean),
    Column("given_up", Boolean),
    Column("missed_at", MOMENT),
)
WRITTEN_ONCE: Final = frozenset(
    {
        "id",
        "room_id",
        "member_id",
        "provider_id",
        "modality",
        "booked_by",
        "requested_at",
        "policy_version",
        "reopens_room",
    }
)
"""Columns of a session that never change: whose it is, who booked it and under which policy."""
WRITTEN_WHEN_MOVED: Final = frozenset(
    {
        "starts_at",
        "ends_at",
        "length_minutes",
        "time_zone",
        "venue_id",
        "extended_minutes",
        "invoiced_minor",
        "invoiced_early",
    }
)
"""Columns that only a move, an extension or a change of the time zone writes."""

session_history = Table(
    "session_history",
    metadata,
    Column("session_id", ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("at", MOMENT),
    Column("type", Text),
    Column("by", Text),
    Column("detail", Text),
)

starts_before_moves = Table(
    "starts_before_moves",
    metadata,
    Column("session_id", ID, primary_key=True),
    Column("moved_in", Text, primary_key=True),
    Column("moved_at", MOMENT),
    Column("starts_at", MOMENT),
)
"""`moved_in` is an xid8, for which SQLAlchemy has no type. Only PostgreSQL's functions compare it."""

# What other services published.

enrolments = Table(
    "enrolments",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("plan_id", Text),
    Column("plan_kind", Text),
    Column("starts_on", Date),
    Column("ends_on", Date),
    Column("time_zone", Text),
    Column("lengths", ARRAY(Integer)),
    Column("psychiatry_lengths", ARRAY(Integer)),
    Column("modalities", ARRAY(Text)),
    Column("live_credits", Integer),
    Column("purchasable", Boolean),
    Column("sequence", BigInteger),
    Column("months", Integer),
    Column("co_pay", JSONB),
)

credit_movements = Table(
    "credit_movements",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("lot_id", ID),
    Column("amount", Integer),
    Column("sequence", BigInteger),
    Column("tells", Boolean),
    Column("length_minutes", Integer),
    Column("expires_at", MOMENT),
    Column("made_for_minutes", Integer),
)

overdue_invoices = Table(
    "overdue_invoices",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("owed", Boolean),
    Column("sequence", BigInteger),
)

provider_schedules = Table(
    "provider_schedules",
    metadata,
    Column("provider_id", Text, primary_key=True),
    Column("version", Integer),
    Column("specialty", Text),
    Column("body", JSONB),
)

time_off = Table(
    "time_off",
    metadata,
    Column("id", ID, primary_key=True),
    Column("provider_id", Text),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("removed", Boolean),
)

waitlist_offers = Table(
    "waitlist_offers",
    metadata,
    Column("entry_id", ID, primary_key=True),
    Column("provider_id", Text),
    Column("member_id", Text),
    Column("sequence", BigInteger),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("blocked_from", MOMENT),
    Column("blocked_until", MOMENT),
    Column("lapses_at", MOMENT),
)

venue_codes = Table(
    "venue_codes",
    metadata,
    Column("venue_id", Text, primary_key=True),
    Column("version", BigInteger),
    Column("digest", Text),
)

remark_keys = Table(
    "remark_keys",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("public_key", Text),
    Column("sequence", BigInteger),
)


def upsert(
    table: Table, newest: str | None = None, *, never_changed: Collection[str] = (), rows: Select[Any] | None = None
) -> Statement:
    """Inserts one row, or these `rows`. A row with the same key is updated, except for the columns in `never_changed`.
    `newest`: the column with the version. An older version never replaces a newer one.
    """
    new = insert(table)
    if rows is not None:
        new = new.from_select(table.c.keys(), rows)
    key = table.primary_key.columns
    changes = {each.name: new.excluded[each.name] for each in table.c if each.name not in {*key.keys(), *never_changed}}
    newer = table.c[newest] < new.excluded[newest] if newest else None
    return Statement(new.on_conflict_do_update(index_elements=list(key), set_=changes, where=newer))
