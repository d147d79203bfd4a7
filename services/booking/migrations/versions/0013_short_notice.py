"""RESC-3: a member who does not come to a session that the provider moved at short notice loses nothing."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE sessions ADD COLUMN moved_at_short_notice boolean NOT NULL DEFAULT false",
    "COMMENT ON COLUMN sessions.moved_at_short_notice IS "
    "'The provider moved it last, with less notice than its policy asks (RESC-3).'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
