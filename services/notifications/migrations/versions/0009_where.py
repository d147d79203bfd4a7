"""Venues, which messages name, and the addresses to which invitations went."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = """
CREATE TABLE venues (
    id text PRIMARY KEY,
    name text NOT NULL,
    place text,
    version bigint NOT NULL
);
COMMENT ON TABLE venues IS 'Read model of availability.venues.v1: what venues are called, and where they are.';

ALTER TABLE deliveries ADD COLUMN invited text, ADD COLUMN recipient text;
COMMENT ON COLUMN deliveries.invited IS 'The address to which an invitation went; a CANCEL follows it there.';
COMMENT ON COLUMN deliveries.recipient IS 'The address of a CANCEL to where somebody was invited before; null: where they are reached now.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
