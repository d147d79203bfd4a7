"""Venues say where they are, and the other services hear of them."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE venues ADD COLUMN place text, ADD COLUMN told boolean NOT NULL DEFAULT false")
    op.execute(
        "COMMENT ON COLUMN venues.told IS 'Whether it was published; a worker publishes those of an older version.'"
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
