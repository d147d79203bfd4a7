"""JOIN-1: join links are signed and stand nowhere; those that were kept, here and in answers for repeated requests, go."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("DROP TABLE session_links")
    op.execute(
        "UPDATE idempotency_keys SET headers = '{}', body = NULL "
        "WHERE body IS NOT NULL AND position(convert_to('\"join_url\"', 'UTF8') IN body) > 0"
    )
