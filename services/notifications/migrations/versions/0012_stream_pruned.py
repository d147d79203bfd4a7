"""How far the stream is forgotten: who comes back from before that has missed something, and is told so."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0012"
down_revision = "0011"

SCHEMA = """
CREATE TABLE stream_pruned (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    txid xid8 NOT NULL,
    position bigint NOT NULL
);
COMMENT ON TABLE stream_pruned IS 'The last entry of the stream, in its order, that was forgotten; one row.';

-- What was forgotten before is not known: it may have been anything up to the oldest entry.
INSERT INTO stream_pruned (txid, position) SELECT txid, position - 1 FROM stream ORDER BY txid, position LIMIT 1;
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
