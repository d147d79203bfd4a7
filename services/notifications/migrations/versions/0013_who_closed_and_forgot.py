"""Who closed a room, which decides about rebooking; and how far each person's part of the stream is forgotten."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0013"
down_revision = "0012"

SCHEMA = """
ALTER TABLE rooms ADD COLUMN closed_by text;
COMMENT ON COLUMN rooms.closed_by IS
    'Of a closed room: member, provider, support, system or erasure; null where an earlier release closed it.';

CREATE TABLE stream_forgotten (
    person_id text PRIMARY KEY,
    txid xid8 NOT NULL,
    position bigint NOT NULL
);
COMMENT ON TABLE stream_forgotten IS 'The last entry of each person''s stream, in its order, that was forgotten.';
COMMENT ON TABLE stream_pruned IS 'How far the stream was forgotten before stream_forgotten told whose entries these were; one row.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
