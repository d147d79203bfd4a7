"""When a member left a room without loss though sessions lay within the notice: that is free once in a while (ROOM-3)."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """UPDATE policies SET numbers = '{"free_change_days": 30}' || numbers""",
    "ALTER TABLE rooms ADD COLUMN left_free_at timestamptz",
    "COMMENT ON COLUMN rooms.left_free_at IS 'When its member went on with another provider and sessions within the notice "
    "cost nothing (ROOM-3).'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
