"""What the invoices of a session's extensions come to, which the policy limits."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE sessions ADD COLUMN invoiced_minor bigint NOT NULL DEFAULT 0")


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
