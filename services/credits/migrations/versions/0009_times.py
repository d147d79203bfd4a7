"""When the session of a hold is: no outcome is believed before it can be."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("ALTER TABLE holds ADD COLUMN starts_at timestamptz, ADD COLUMN ends_at timestamptz")
