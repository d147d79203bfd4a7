"""Booking's tables and their columns, from which the statements are compiled. The migrations make them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, Integer, Interval, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import BOOLEAN, JSONB, UUID

metadata = MetaData()

rooms = Table(
    "rooms",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("status", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("last_activity_at", DateTime(timezone=True)),
    Column("version", Integer),
    Column("closed_by", Text),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("room_id", UUID(as_uuid=False)),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("starts_at", DateTime(timezone=True)),
    Column("ends_at", DateTime(timezone=True)),
    Column("length_minutes", Integer),
    Column("modality", Text),
    Column("time_zone", Text),
    Column("venue_id", Text),
    Column("booked_by", Text),
    Column("requested_at", DateTime(timezone=True)),
    Column("policy_version", Integer),
    Column("status", Text),
    Column("version", Integer),
    Column("slot_state", Text),
    Column("funding", Text),
    Column("credit_state", Text),
    Column("reasons", JSONB),
    Column("purchasable", BOOLEAN),
    Column("confirm_by", DateTime(timezone=True)),
    Column("member_joined_at", DateTime(timezone=True)),
    Column("member_left_at", DateTime(timezone=True)),
    Column("provider_joined_at", DateTime(timezone=True)),
    Column("provider_left_at", DateTime(timezone=True)),
    Column("together_since", DateTime(timezone=True)),
    Column("together", Interval),
    Column("first_left", Text),
    Column("outcome_asked", BOOLEAN),
    Column("absent_party", Text),
    Column("lot_id", UUID(as_uuid=False)),
    Column("blocked_from", DateTime(timezone=True)),
    Column("blocked_until", DateTime(timezone=True)),
    Column("move", JSONB),
    Column("moved_by_provider", BOOLEAN),
    Column("moved_at_short_notice", BOOLEAN),
    Column("reconfirmation", Text),
    Column("extended_minutes", Integer),
    Column("invoiced_minor", BigInteger),
    Column("invoiced_early", BOOLEAN),
    Column("co_pay", JSONB),
    Column("reopens_room", BOOLEAN),
    Column("given_up", BOOLEAN),
    Column("missed_at", DateTime(timezone=True)),
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
"""Columns of a session that stay as they were written: whose it is, who booked it and under which policy."""
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
    Column("session_id", UUID(as_uuid=False), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("at", DateTime(timezone=True)),
    Column("type", Text),
    Column("by", Text),
    Column("detail", Text),
)

starts_before_moves = Table(
    "starts_before_moves",
    metadata,
    Column("session_id", UUID(as_uuid=False), primary_key=True),
    Column("moved_in", Text, primary_key=True),
    Column("moved_at", DateTime(timezone=True)),
    Column("starts_at", DateTime(timezone=True)),
)
"""`moved_in` is an xid8, which SQLAlchemy has no type for: it is compared by PostgreSQL's functions alone."""
