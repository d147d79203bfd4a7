"""Less is written for an event that was handled, an answer that is kept, and an entry of the stream."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.messaging.tables import LEANER

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SCHEMA = """
DROP INDEX stream_by_age;
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(LEANER + SCHEMA))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
