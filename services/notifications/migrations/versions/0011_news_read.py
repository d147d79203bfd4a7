"""How far the topics are read: what was held up is not told before later news is known."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0011"
down_revision = "0010"

SCHEMA = """
CREATE TABLE news_read (
    topic text NOT NULL,
    partition integer NOT NULL,
    partitions integer NOT NULL,
    read_until timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE news_read IS 'Everything that stood in the partition at read_until (real time) has been handled here.';
COMMENT ON COLUMN news_read.partitions IS 'How many partitions the topic has.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
