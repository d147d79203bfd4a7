"""How often one person may cause mail to another."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE allowances (
            kind text NOT NULL,
            entity_id text NOT NULL,
            since timestamptz NOT NULL,
            used integer NOT NULL,
            PRIMARY KEY (kind, entity_id)
        )
        """
    )
    op.execute("CREATE INDEX allowances_by_age ON allowances USING brin (since)")
    op.execute(
        "COMMENT ON TABLE allowances IS 'What somebody did that reaches somebody else, counted so that it stays few.'"
    )
    op.execute("COMMENT ON COLUMN allowances.since IS 'Product time at which the period began that `used` counts in.'")
