"""Credits that came back stand for their thirty days, though their plan is replaced; when an enrolment was replaced
and resumed."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0011"
down_revision = "0010"

SCHEMA = """
ALTER TABLE lots ADD COLUMN guarantees jsonb;
COMMENT ON COLUMN lots.guarantees IS 'What credits that came back pay for whatever the plan is by then, each until its moment.';
ALTER TABLE holds ADD COLUMN guarantee jsonb;
COMMENT ON COLUMN holds.guarantee IS 'What was guaranteed of the credit before it was held.';
ALTER TABLE move_holds ADD COLUMN guarantee jsonb;
ALTER TABLE enrolments ADD COLUMN replaced_at timestamptz, ADD COLUMN resumed_on date;
COMMENT ON COLUMN enrolments.replaced_at IS 'When another enrolment took its place last, or was agreed to.';
COMMENT ON COLUMN enrolments.resumed_on IS 'The day from which on it was resumed last, where that was named and not its start.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
