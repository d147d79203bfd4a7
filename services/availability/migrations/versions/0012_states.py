"""What changed is marked, so that its state is published on a compacted topic."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.states.tables import SCHEMA, marks

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCRIPTS = (
    SCHEMA,
    marks(
        "availability.holds.state.v1",
        "slot_holds",
        ["venue_id", "starts_at", "ends_at", "blocked", "hold_until", "live", "cause"],
        key="session_id",
        # Neither offers of the waitlist, nor sessions that ended before they had a slot.
        when="NEW.offered_to IS NULL AND NEW.hold_until IS NOT NULL",
    ),
)


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in SCRIPTS:
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
