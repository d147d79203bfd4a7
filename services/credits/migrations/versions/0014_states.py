"""What changed is marked, so that its state is published on a compacted topic."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.states.tables import SCHEMA, marks

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SCRIPTS = (
    SCHEMA,
    marks("credits.balances.state.v1", "accounts", ["available", "held"], key="member_id"),
    marks("credits.invoices.state.v1", "invoices", ["status", "due_on"]),
    marks("credits.enrolments.state.v1", "enrolments", ["ends_on", "covers_until", "replaced_at"]),
)


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in SCRIPTS:
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
