"""The policy's number that the waitlist needs."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE TABLE policy (
            single boolean PRIMARY KEY DEFAULT true CHECK (single),
            version integer NOT NULL,
            offer_minutes integer NOT NULL
        )"""
    )
    op.execute(
        "COMMENT ON TABLE policy IS 'The latest that booking told; no row: the first policy, by default 120 minutes.'"
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
