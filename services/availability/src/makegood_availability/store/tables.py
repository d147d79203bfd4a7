"""Tables as SQLAlchemy Core sees them, for reads and lists. The migrations make them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()

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
