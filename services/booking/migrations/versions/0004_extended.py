"""By how much sessions were extended: no plan pays for that part of their length."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE sessions ADD COLUMN extended_minutes integer NOT NULL DEFAULT 0")


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
