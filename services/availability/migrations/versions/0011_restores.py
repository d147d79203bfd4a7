"""Events that a restore left behind on the topics are marked in the inbox."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.messaging.tables import WITHDRAWN

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(WITHDRAWN))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
