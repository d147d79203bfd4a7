"""What makes cancelling free whatever the notice: the time to cool off after a booking, and an invoice before the start."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """UPDATE policies SET numbers = '{"cooling_off_minutes": 15}' || numbers""",
    "ALTER TABLE sessions ADD COLUMN invoiced_early boolean NOT NULL DEFAULT false",
    "COMMENT ON COLUMN sessions.invoiced_early IS 'Whether an extension with an invoice was made before the start (EXT-1).'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
