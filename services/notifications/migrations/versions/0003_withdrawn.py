"""A message that is withdrawn while somebody sends it keeps its true end."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE deliveries ADD COLUMN withdrawn text")
    op.execute(
        "COMMENT ON COLUMN deliveries.withdrawn IS "
        "'Why it must not be sent again, said while somebody was sending it: if that attempt succeeds, it was sent.'"
    )
