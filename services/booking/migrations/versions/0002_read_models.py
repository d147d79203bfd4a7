"""What booking learns of other services' topics: coverage, credits, charges, schedules, waitlist offers."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = """
ALTER TABLE sessions ADD COLUMN lot_id uuid, ADD COLUMN blocked_from timestamptz, ADD COLUMN blocked_until timestamptz;
COMMENT ON COLUMN sessions.lot_id IS 'The lot that its credit was first taken from; see credit_movements.';
COMMENT ON COLUMN sessions.blocked_from IS 'From here to blocked_until it takes the provider''s time, buffers included.';
CREATE TABLE enrolments (
    id uuid PRIMARY KEY,
    member_id text NOT NULL,
    plan_id text NOT NULL,
    plan_kind text NOT NULL,
    starts_on date NOT NULL,
    ends_on date,
    time_zone text NOT NULL,
    lengths integer[] NOT NULL,
    psychiatry_lengths integer[] NOT NULL,
    modalities text[] NOT NULL,
    live_credits integer,
    purchasable boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX enrolments_of_member ON enrolments (member_id);
CREATE TABLE credit_movements (
    id uuid PRIMARY KEY,
    member_id text NOT NULL,
    lot_id uuid NOT NULL,
    amount integer NOT NULL,
    sequence bigint NOT NULL,
    tells boolean NOT NULL,
    length_minutes integer,
    expires_at timestamptz
);
CREATE INDEX credit_movements_of_member ON credit_movements (member_id);
COMMENT ON TABLE credit_movements IS
    'What changes a lot''s credits, by event, save the hold that each session begins with: that is sessions.lot_id.';
COMMENT ON COLUMN credit_movements.tells IS 'Whether the event tells when the lot lapses; the latest that does counts.';
CREATE TABLE overdue_invoices (
    id uuid PRIMARY KEY,
    member_id text NOT NULL,
    owed boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX overdue_invoices_of_member ON overdue_invoices (member_id) WHERE owed;
CREATE TABLE provider_schedules (
    provider_id text PRIMARY KEY,
    version integer NOT NULL,
    specialty text NOT NULL,
    body jsonb NOT NULL
);
CREATE TABLE time_off (
    id uuid PRIMARY KEY,
    provider_id text NOT NULL,
    starts_at timestamptz,
    ends_at timestamptz,
    removed boolean NOT NULL
);
CREATE INDEX time_off_of_provider ON time_off (provider_id, ends_at) WHERE NOT removed;
CREATE TABLE waitlist_offers (
    entry_id uuid PRIMARY KEY,
    provider_id text NOT NULL,
    member_id text NOT NULL,
    sequence bigint NOT NULL,
    starts_at timestamptz,
    ends_at timestamptz,
    blocked_from timestamptz,
    blocked_until timestamptz,
    lapses_at timestamptz
);
CREATE INDEX waitlist_offers_of_provider ON waitlist_offers (provider_id) WHERE lapses_at IS NOT NULL;
CREATE INDEX waitlist_offers_of_member ON waitlist_offers (member_id) WHERE lapses_at IS NOT NULL;
"""


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("expand only: the earlier release runs on these tables as well")
