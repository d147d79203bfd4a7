"""Less is written for an event that was handled, and for an answer that is kept."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.messaging.tables import LEANER

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(LEANER))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
