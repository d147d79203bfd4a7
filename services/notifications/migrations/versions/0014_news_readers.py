"""How far the topics are read, with one row for each process."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0014"
down_revision = "0013"

SCHEMA = """
CREATE TABLE news_readers (
    id uuid PRIMARY KEY,
    topics text[] NOT NULL,
    numbers integer[] NOT NULL,
    partitions integer[] NOT NULL,
    read_until timestamptz[] NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE news_readers IS
    'Each process, and that it has handled everything that stood in partition numbers[n] of topics[n] at read_until[n] (real time).';
COMMENT ON COLUMN news_readers.partitions IS 'How many partitions the topic has.';
-- Without any, nothing would be waited for until the first process of this release has noted something.
INSERT INTO news_readers (id, topics, numbers, partitions, read_until)
SELECT gen_random_uuid(), array_agg(topic ORDER BY topic, partition), array_agg(partition ORDER BY topic, partition),
       array_agg(partitions ORDER BY topic, partition), array_agg(read_until ORDER BY topic, partition)
FROM news_read HAVING count(*) > 0;
COMMENT ON TABLE news_read IS 'As news_readers, a row for each partition; read and written by earlier releases alone.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
