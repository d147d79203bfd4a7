"""The service's tables: the only list of their columns. Statements are compiled from it; the migrations create the
tables.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text, true
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, UUID

metadata = MetaData()

schedules = Table(
    "schedules",
    metadata,
    Column("provider_id", Text, primary_key=True),
    Column("version", BigInteger),
    Column("sequence", BigInteger),
    Column("body", JSONB),
    Column("changed_at", DateTime(timezone=True)),
)

time_off = Table(
    "time_off",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("provider_id", Text),
    Column("starts_at", DateTime(timezone=True)),
    Column("ends_at", DateTime(timezone=True)),
    Column("note", Text),
    Column("sealed", LargeBinary),
)

venues = Table(
    "venues",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("version", BigInteger),
    Column("name", Text),
    Column("place", Text),
    Column("time_zone", Text),
    Column("weekly", JSONB),
    Column("told", Boolean),
    Column("check_in_code", Text),
)

slot_holds = Table(
    "slot_holds",
    metadata,
    Column("session_id", UUID(as_uuid=False), primary_key=True),
    Column("provider_id", Text),
    Column("member_id", Text),
    Column("provider_key", BigInteger),
    Column("member_key", BigInteger),
    Column("venue_id", Text),
    Column("starts_at", DateTime(timezone=True)),
    Column("ends_at", DateTime(timezone=True)),
    Column("blocked", TSTZRANGE),
    Column("hold_until", DateTime(timezone=True)),
    Column("live", Boolean),
    Column("firm", Boolean),
    Column("cause", Text),
    Column("ended_at", DateTime(timezone=True)),
    Column("sequence", Integer),
    Column("offered_to", Text),
    Column("entry_id", UUID(as_uuid=False)),
)

slot_moves = Table(
    "slot_moves",
    metadata,
    Column("move_id", UUID(as_uuid=False), primary_key=True),
    Column("session_id", UUID(as_uuid=False)),
    Column("decided_at", DateTime(timezone=True)),
)

rooms = Table(
    "rooms",
    metadata,
    Column("room_id", UUID(as_uuid=False), primary_key=True),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("version", Integer),
    Column("active", Boolean),
)

waitlist = Table(
    "waitlist",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("room_id", UUID(as_uuid=False)),
    Column("provider_id", Text),
    Column("member_id", Text),
    Column("waits_from", DateTime(timezone=True)),
    Column("waits_until", DateTime(timezone=True)),
    Column("length_minutes", Integer),
    Column("modality", Text),
    Column("status", Text),
    Column("offer_starts_at", DateTime(timezone=True)),
    Column("offer_ends_at", DateTime(timezone=True)),
    Column("lapses_at", DateTime(timezone=True)),
    Column("session_id", UUID(as_uuid=False)),
    Column("proposal_id", UUID(as_uuid=False)),
    Column("offer_venue_id", Text),
    Column("obstacles", JSONB),
    Column("search_from", DateTime(timezone=True)),
    Column("ask_again_at", DateTime(timezone=True)),
)

policy = Table(
    "policy",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=true()),
    Column("version", Integer),
    Column("offer_minutes", Integer),
)
