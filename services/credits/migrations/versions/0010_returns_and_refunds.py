"""Credits that were made good, credits of a plan that goes on, co-pays due by their policy, purchases that go back."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0010"
down_revision = "0009"

SCHEMA = """
ALTER TABLE holds
    ADD COLUMN length_minutes integer CHECK (length_minutes > 0),
    ADD COLUMN co_pay_due_days integer NOT NULL DEFAULT 14 CHECK (co_pay_due_days > 0);
COMMENT ON COLUMN holds.length_minutes IS 'What the session was booked for, without extensions.';
UPDATE holds SET length_minutes = extract(epoch FROM ends_at - starts_at) / 60 WHERE state = 'held' AND ends_at > starts_at;
ALTER TABLE move_holds ADD COLUMN length_minutes integer CHECK (length_minutes > 0);

ALTER TABLE lots
    ADD COLUMN made_for_minutes integer CHECK (made_for_minutes > 0),
    ADD COLUMN made_under text,
    ADD CHECK ((made_for_minutes IS NULL) = (made_under IS NULL)),
    ADD CHECK (made_for_minutes IS NULL OR source = 'make_good');
COMMENT ON COLUMN lots.made_for_minutes IS 'The length that a credit that was made good pays for, whatever the plan is by then.';
COMMENT ON COLUMN lots.made_under IS 'The plan that a credit that was made good came from.';
UPDATE lots SET made_for_minutes = back.minutes, made_under = back.plan_id
FROM (
    SELECT entry.credit_lot, holds.plan_id,
        coalesce(lot.length_minutes, (extract(epoch FROM holds.ends_at - holds.starts_at) / 60)::int) AS minutes
    FROM ledger_entries AS entry JOIN holds ON holds.id = entry.hold_id JOIN lots AS lot ON lot.id = entry.credit_lot
    WHERE lot.source = 'make_good' AND entry.kind = 'return'
) AS back
WHERE lots.id = back.credit_lot AND back.minutes > 0;

-- A plan that goes on after all gives back what lapsed when it was replaced.
ALTER TABLE ledger_entries
    DROP CONSTRAINT moves_of_the_kind,
    ADD CONSTRAINT moves_of_the_kind CHECK (
        CASE kind
            WHEN 'hold' THEN debit_account = 'member:available' AND credit_account = 'member:held'
            WHEN 'return' THEN debit_account IN ('member:held', 'platform:spent', 'platform:forfeited')
                AND credit_account = 'member:available'
            WHEN 'spend' THEN debit_account = 'member:held' AND credit_account = 'platform:spent'
            WHEN 'forfeit' THEN debit_account = 'member:held' AND credit_account = 'platform:forfeited'
            WHEN 'grant' THEN debit_account = 'platform:granted' AND credit_account = 'member:available'
            WHEN 'expire' THEN debit_account = 'member:available' AND credit_account = 'platform:expired'
            WHEN 'purchase' THEN debit_account = 'platform:purchased' AND credit_account = 'member:available'
            WHEN 'adjust' THEN (debit_account, credit_account) IN (
                ('platform:adjusted', 'member:available'), ('member:available', 'platform:adjusted'),
                ('platform:expired', 'member:available'))
                OR (hold_id IS NOT NULL AND (debit_account, credit_account) IN (
                    ('member:available', 'platform:spent'), ('member:available', 'platform:forfeited'),
                    ('platform:spent', 'member:available'), ('platform:forfeited', 'member:available'),
                    ('platform:spent', 'platform:forfeited'), ('platform:forfeited', 'platform:spent')))
            ELSE false
        END) NOT VALID;
ALTER TABLE ledger_entries VALIDATE CONSTRAINT moves_of_the_kind;

ALTER TABLE refunds
    DROP CONSTRAINT refunds_reason_check,
    ADD CONSTRAINT refunds_reason_check CHECK (reason IN ('not_charged', 'not_owed', 'not_accepted', 'wrong_amount'));

-- By the day that counted until now a co-pay would be overdue on the evening of its session. An hour of daylight saving is let go.
UPDATE invoices SET due_on = due_on + 14, overdue_at = overdue_at + interval '14 days'
WHERE status = 'pending' AND about = 'co_pay';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
