"""What changed is marked, so that its state is published on a compacted topic."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.states.tables import SCHEMA, marks

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SCRIPTS = (
    SCHEMA,
    "INSERT INTO erased_people (person_id) SELECT person_id FROM erasures",
    marks("notifications.deliveries.state.v1", "deliveries", ["status", "sent_at"]),
)


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in SCRIPTS:
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
