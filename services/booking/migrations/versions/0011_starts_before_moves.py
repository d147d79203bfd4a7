"""Where a session stood before a move, so that a list that is being paged goes on in the order of its first page."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """CREATE TABLE starts_before_moves (
        session_id uuid NOT NULL,
        moved_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
        moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        starts_at timestamptz NOT NULL,
        PRIMARY KEY (session_id, moved_in)
    )""",
    "CREATE INDEX starts_before_moves_by_transaction ON starts_before_moves (moved_in)",
    "COMMENT ON TABLE starts_before_moves IS 'The start that a session had until the transaction moved_in. Pages after the "
    "first read it, if they do not see that transaction in the snapshot of the first page.'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
