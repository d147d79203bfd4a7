"""What readers are told of prices, rebooking and the next credits: co-pays, periods, credits made good, who closed rooms."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE sessions ADD COLUMN co_pay jsonb",
    "COMMENT ON COLUMN sessions.co_pay IS 'What it costs where no credit pays: {amount_minor, currency}.'",
    "ALTER TABLE rooms ADD COLUMN closed_by text",
    "COMMENT ON COLUMN rooms.closed_by IS 'Who closed it last; null: nobody, or an earlier release did not keep it.'",
    "ALTER TABLE enrolments ADD COLUMN months integer, ADD COLUMN co_pay jsonb",
    "COMMENT ON COLUMN enrolments.months IS 'After how many months the credits come anew; null: they come once.'",
    "ALTER TABLE credit_movements ADD COLUMN made_for_minutes integer",
    "COMMENT ON COLUMN credit_movements.made_for_minutes IS 'The length that a credit made good pays for on any plan (MISS-4).'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
