"""With what remarks are sealed that the other party reads in its message."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "CREATE TABLE remark_keys (person_id text PRIMARY KEY, public_key text NOT NULL, sequence bigint NOT NULL)",
    "COMMENT ON TABLE remark_keys IS 'Read model of notifications.people.v1: public halves of keys. They seal, and open nothing.'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
