"""After a restore: which events were left behind on the topics, and what people were already told."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.messaging.tables import WITHDRAWN

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TOLD_BEFORE = """
CREATE TABLE told_before (
    delivery_id uuid PRIMARY KEY,
    person_id text NOT NULL,
    channel text NOT NULL,
    template text NOT NULL,
    session_id uuid NOT NULL,
    starts_at timestamptz,
    delivered_at timestamptz NOT NULL
);
CREATE INDEX told_before_by_person ON told_before (person_id, session_id);
COMMENT ON TABLE told_before IS
    'Messages that went out before a restore and that this database does not know. Each counts once if it comes again.';
COMMENT ON COLUMN told_before.starts_at IS 'The start that the message named; null: any.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(WITHDRAWN + TOLD_BEFORE))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
