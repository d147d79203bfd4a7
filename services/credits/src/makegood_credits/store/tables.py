"""Tables as SQLAlchemy Core sees them, for the reads of the API. What the database itself guarantees stands in migrations."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, Uuid

metadata = MetaData()

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("member_id", Text),
    Column("number", BigInteger),
    Column("id", Uuid),
    Column("kind", Text),
    Column("amount", Integer),
    Column("debit_account", Text),
    Column("debit_lot", Uuid),
    Column("credit_account", Text),
    Column("credit_lot", Uuid),
    Column("session_id", Uuid),
    Column("hold_id", Uuid),
    Column("reason", Text),
    Column("made_by", Text),
    Column("made_at", DateTime(timezone=True)),
    Column("available_after", Integer),
    Column("held_after", Integer),
)
