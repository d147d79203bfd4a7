"""Adjustments that need a second person, invoices that support voided, webhooks that make no sense."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = """
CREATE TABLE adjustment_proposals (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    member_id text NOT NULL REFERENCES accounts,
    amount integer NOT NULL CHECK (amount <> 0),
    length_minutes integer CHECK (length_minutes > 0),
    reason text NOT NULL,
    status text NOT NULL CHECK (status IN ('proposed', 'approved', 'rejected')),
    proposed_by text NOT NULL CHECK (proposed_by <> member_id),
    proposed_at timestamptz NOT NULL,
    decided_by text,
    decided_at timestamptz,
    CHECK ((status = 'proposed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)),
    CHECK (status <> 'approved' OR decided_by NOT IN (proposed_by, member_id))
);
CREATE INDEX adjustment_proposals_in_order ON adjustment_proposals (status, number);
CREATE INDEX adjustment_proposals_by_member ON adjustment_proposals (member_id, number);
COMMENT ON TABLE adjustment_proposals IS
    'Adjustments over the policy''s limit: one person of support proposes, another one approves or rejects. Both are kept.';

CREATE TABLE policy (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version integer NOT NULL,
    adjustment_limit integer NOT NULL CHECK (adjustment_limit >= 0)
);
COMMENT ON TABLE policy IS 'The latest that booking told; no row: the first policy, by default 10 credits.';

ALTER TABLE invoices ADD COLUMN voided_by text, ADD COLUMN void_reason text;
COMMENT ON COLUMN invoices.voided_by IS 'Who of support voided it: no corrected outcome makes it due again.';

ALTER TABLE payment_events ADD COLUMN fault text;
COMMENT ON COLUMN payment_events.fault IS 'Why a signed webhook was refused: it says what cannot be.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
