"""Money that goes back, credits that support gave back, and purchases of everybody in their order."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = """
ALTER TABLE holds ADD COLUMN by_hand boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN holds.by_hand IS 'Support gave the credit back: no corrected outcome takes it away again.';
UPDATE holds SET by_hand = true FROM ledger_entries AS entry
WHERE entry.kind = 'return' AND entry.debit_account <> 'member:held' AND entry.hold_id = holds.id
    AND entry.reason <> 'The session''s outcome was corrected.';

CREATE INDEX purchases_in_order ON purchases (number);

CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    checkout_id uuid NOT NULL REFERENCES checkouts,
    invoice_id uuid REFERENCES invoices,
    member_id text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('not_charged', 'not_owed', 'wrong_amount')),
    state text NOT NULL CHECK (state IN ('due', 'done', 'by_hand')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    owed_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    try_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX a_payment_goes_back_once ON refunds (checkout_id) WHERE reason <> 'wrong_amount';
CREATE INDEX refunds_due ON refunds (try_at) WHERE state = 'due';
CREATE INDEX refunds_of_invoices ON refunds (invoice_id) WHERE invoice_id IS NOT NULL;
COMMENT ON TABLE refunds IS
    'Money that goes back to who paid it. Due: asked of the payment provider again and again (`try_at` is real time). By hand: a '
    'person has to see to it.';

INSERT INTO refunds (id, checkout_id, invoice_id, member_id, reason, state, amount_minor, currency, owed_at)
SELECT gen_random_uuid(), checkouts.id, checkouts.invoice_id, checkouts.member_id, 'wrong_amount', 'by_hand',
    checkouts.amount_minor, checkouts.currency, payment_events.received_at
FROM checkouts JOIN payment_events ON payment_events.checkout_id = checkouts.id::text AND payment_events.effect = 'refund';

CREATE OR REPLACE VIEW payments_to_refund AS
SELECT checkouts.id, refunds.member_id, checkouts.provider, checkouts.reference, refunds.amount_minor, refunds.currency,
    refunds.reason, refunds.state, refunds.owed_at
FROM refunds JOIN checkouts ON checkouts.id = refunds.checkout_id WHERE refunds.state <> 'done';
COMMENT ON VIEW payments_to_refund IS 'Money that has to go back and has not yet; `by_hand`: the platform does not do it by itself.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
