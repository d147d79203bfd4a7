"""JOIN-3: venues show a code, by which people check in to sessions in person."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE venues ADD COLUMN check_in_code text")
    op.execute("COMMENT ON COLUMN venues.check_in_code IS 'What people check in with, as ops printed it (JOIN-3).'")


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
