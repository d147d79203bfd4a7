"""The service's tables: the only list of their columns. Statements are compiled from it; the migrations create the
tables.
"""

from __future__ import annotations

from makegood_chassis.statements import ID, MOMENT
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, Table, Text, true
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE

metadata = MetaData()

schedules = Table(
    "schedules",
    metadata,
    Column("provider_id", Text, primary_key=True),
    Column("version", BigInteger),
    Column("sequence", BigInteger),
    Column("body", JSONB),
    Column("changed_at", MOMENT),
)

time_off = Table(
    "time_off",
    metadata,
    Column("id", ID, primary_key=True),
    Column("provider_id", Text),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("note", Text),
    Column("sealed", LargeBinary),
)

venues = Table(
    "venues",
    metadata,
    Column("id", ID, primary_key=True),
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
    Column("session_id", ID, primary_key=True),
    Column("provider_id", Text),
    Column("member_id", Text),
    Column("provider_key", BigInteger),
    Column("member_key", BigInteger),
    Column("venue_id", Text),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("blocked", TSTZRANGE),
    Column("hold_until", MOMENT),
    Column("live", Boolean),
    Column("firm", Boolean),
    Column("cause", Text),
    Column("ended_at", MOMENT),
    Column("sequence", Integer),
    Column("offered_to", Text),
    Column("entry_id", ID),
)

slot_moves = Table(
    "slot_moves",
    metadata,
    Column("move_id", ID, primary_key=True),
    Column("session_id", ID),
    Column("decided_at", MOMENT),
)

rooms = Table(
    "rooms",
    metadata,
    Column("room_id", ID, primary_key=True),
    Column("member_id", Text),
    Column("provider_id", Text),
    Column("version", Integer),
    Column("active", Boolean),
)

waitlist = Table(
    "waitlist",
    metadata,
    Column("id", ID, primary_key=True),
    Column("room_id", ID),
    Column("provider_id", Text),
    Column("member_id", Text),
    Column("waits_from", MOMENT),
    Column("waits_until", MOMENT),
    Column("length_minutes", Integer),
    Column("modality", Text),
    Column("status", Text),
    Column("offer_starts_at", MOMENT),
    Column("offer_ends_at", MOMENT),
    Column("lapses_at", MOMENT),
    Column("session_id", ID),
    Column("proposal_id", ID),
    Column("offer_venue_id", Text),
    Column("obstacles", JSONB),
    Column("search_from", MOMENT),
    Column("ask_again_at", MOMENT),
)

policy = Table(
    "policy",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=true()),
    Column("version", Integer),
    Column("offer_minutes", Integer),
)
