"""Accounts, enrolments, lots, holds, invoices, and the ledger that only grows."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.messaging.tables import SCHEMA as CHASSIS_SCHEMA

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE accounts (
    member_id text PRIMARY KEY,
    available integer NOT NULL DEFAULT 0 CHECK (available >= 0),
    held integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    entry_count bigint NOT NULL DEFAULT 0,
    ledger_sequence bigint NOT NULL DEFAULT 0,
    enrolment_sequence bigint NOT NULL DEFAULT 0,
    next_due timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE accounts IS 'A member''s balances and counters; its row lock orders all changes of the member''s credits.';

CREATE TABLE enrolments (
    id uuid PRIMARY KEY,
    member_id text NOT NULL REFERENCES accounts,
    plan_id text NOT NULL,
    starts_on date NOT NULL,
    ends_on date CHECK (ends_on >= starts_on),
    time_zone text NOT NULL,
    covers_from timestamptz NOT NULL,
    covers_until timestamptz,
    next_period integer NOT NULL,
    next_grant timestamptz
);
CREATE INDEX enrolments_by_member ON enrolments (member_id);

CREATE TABLE lots (
    id uuid PRIMARY KEY,
    member_id text NOT NULL REFERENCES accounts,
    source text NOT NULL CHECK (source IN ('plan', 'purchase', 'adjustment', 'make_good')),
    length_minutes integer CHECK (length_minutes > 0),
    expires_at timestamptz,
    enrolment_id uuid REFERENCES enrolments,
    period integer,
    granted integer NOT NULL CHECK (granted > 0),
    available integer NOT NULL CHECK (available >= 0),
    held integer NOT NULL CHECK (held >= 0),
    UNIQUE (enrolment_id, period),
    CHECK ((source = 'plan') = (enrolment_id IS NOT NULL AND period IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX lots_by_member ON lots (member_id);

CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    member_id text NOT NULL REFERENCES accounts,
    session_id uuid,
    status text NOT NULL CHECK (status IN ('pending', 'issued', 'paid', 'void', 'overdue')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    due_on date NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX invoices_by_member ON invoices (member_id, number);

CREATE TABLE holds (
    session_id uuid PRIMARY KEY,
    id uuid,
    member_id text NOT NULL,
    plan_id text,
    state text NOT NULL CHECK (state IN ('held', 'spent', 'returned', 'forfeited', 'refused', 'ended')),
    hold_until timestamptz,
    firm boolean NOT NULL DEFAULT false,
    lot_id uuid,
    invoice_id uuid,
    CHECK ((state IN ('refused', 'ended')) = (id IS NULL)),
    CHECK (id IS NULL OR (hold_until IS NOT NULL AND plan_id IS NOT NULL)),
    CHECK (id IS NULL OR num_nonnulls(lot_id, invoice_id) = 1)
) WITH (fillfactor = 70);
-- Holds come in the order of their moment, so a block range index finds those that lapse and costs a hold next to nothing.
CREATE INDEX holds_by_lapse ON holds USING brin (hold_until) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE ledger_entries (
    member_id text NOT NULL,
    number bigint NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    amount integer NOT NULL CHECK (amount > 0),
    debit_account text NOT NULL,
    debit_lot uuid,
    credit_account text NOT NULL,
    credit_lot uuid,
    session_id uuid,
    hold_id uuid,
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    available_after integer NOT NULL CHECK (available_after >= 0),
    held_after integer NOT NULL CHECK (held_after >= 0),
    PRIMARY KEY (member_id, number),
    CONSTRAINT moves_of_the_kind CHECK (
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
                ('platform:adjusted', 'member:available'), ('member:available', 'platform:adjusted'))
            ELSE false
        END),
    CONSTRAINT member_sides_name_their_lot CHECK (
        starts_with(debit_account, 'member:') = (debit_lot IS NOT NULL)
        AND starts_with(credit_account, 'member:') = (credit_lot IS NOT NULL))
);
CREATE UNIQUE INDEX a_hold_is_settled_once ON ledger_entries (hold_id) WHERE debit_account = 'member:held';
CREATE UNIQUE INDEX a_session_returns_once ON ledger_entries (session_id) WHERE kind = 'return';

CREATE FUNCTION refuse_change_of_the_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is corrected by new entries, never by % of old ones', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_the_ledger();
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_only_grows;

CREATE VIEW ledger_imbalances AS
WITH moves AS (
    SELECT member_id, debit_lot AS lot_id, debit_account AS account, -amount AS amount
    FROM ledger_entries WHERE debit_lot IS NOT NULL
    UNION ALL
    SELECT member_id, credit_lot, credit_account, amount FROM ledger_entries WHERE credit_lot IS NOT NULL
), lot_sums AS (
    SELECT lot_id,
        coalesce(sum(amount) FILTER (WHERE account = 'member:available'), 0) AS available,
        coalesce(sum(amount) FILTER (WHERE account = 'member:held'), 0) AS held
    FROM moves GROUP BY lot_id
), member_sums AS (
    SELECT member_id,
        coalesce(sum(amount) FILTER (WHERE account = 'member:available'), 0) AS available,
        coalesce(sum(amount) FILTER (WHERE account = 'member:held'), 0) AS held
    FROM moves GROUP BY member_id
), held_sums AS (
    SELECT lot_id, count(*) AS held FROM holds WHERE state = 'held' AND lot_id IS NOT NULL GROUP BY lot_id
)
SELECT 'lot' AS what, coalesce(lots.id, lot_sums.lot_id)::text AS id,
    lots.available, lots.held, lot_sums.available AS available_entered, lot_sums.held AS held_entered
FROM lots FULL JOIN lot_sums ON lot_sums.lot_id = lots.id
WHERE (lots.available, lots.held) IS DISTINCT FROM (lot_sums.available, lot_sums.held)
UNION ALL
SELECT 'account', coalesce(accounts.member_id, member_sums.member_id),
    accounts.available, accounts.held, member_sums.available, member_sums.held
FROM accounts FULL JOIN member_sums USING (member_id)
WHERE (accounts.available, accounts.held)
    IS DISTINCT FROM (coalesce(member_sums.available, 0), coalesce(member_sums.held, 0))
UNION ALL
SELECT 'holds of lot', lots.id::text, lots.available, lots.held, NULL, coalesce(held_sums.held, 0)
FROM lots LEFT JOIN held_sums ON held_sums.lot_id = lots.id
WHERE lots.held <> coalesce(held_sums.held, 0);
COMMENT ON VIEW ledger_imbalances IS 'Balances that differ from the sum of their entries, or from their holds; must be empty.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (CHASSIS_SCHEMA, SCHEMA):
        # Many statements at once: only the driver itself takes them.
        connection.run_async(lambda driver, script=script: driver.execute(script))
