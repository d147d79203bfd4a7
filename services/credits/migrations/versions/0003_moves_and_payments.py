"""Holds of moves, corrections, charges that fall overdue, purchases and their payments."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = """
ALTER TABLE accounts ADD COLUMN overdue integer NOT NULL DEFAULT 0 CHECK (overdue >= 0);
COMMENT ON COLUMN accounts.overdue IS 'Invoices that are overdue; while there are any, nothing can be booked.';

ALTER TABLE invoices
    ADD COLUMN overdue_at timestamptz,
    ADD COLUMN about text NOT NULL DEFAULT 'co_pay' CHECK (about IN ('co_pay', 'extension'));
CREATE INDEX invoices_of_extensions ON invoices (session_id) WHERE about = 'extension';

ALTER TABLE holds
    ADD COLUMN answers integer NOT NULL DEFAULT 1,
    ADD COLUMN moving boolean NOT NULL DEFAULT false,
    ADD COLUMN extended boolean NOT NULL DEFAULT false;

CREATE TABLE move_holds (
    move_id uuid PRIMARY KEY,
    session_id uuid NOT NULL,
    id uuid,
    member_id text NOT NULL,
    plan_id text,
    state text NOT NULL CHECK (state IN ('held', 'returned', 'forfeited', 'kept', 'refused', 'ended')),
    hold_until timestamptz,
    firm boolean NOT NULL DEFAULT false,
    lot_id uuid,
    invoice_id uuid,
    CHECK ((state IN ('kept', 'refused', 'ended')) = (id IS NULL)),
    CHECK (id IS NULL OR (hold_until IS NOT NULL AND plan_id IS NOT NULL)),
    CHECK (id IS NULL OR num_nonnulls(lot_id, invoice_id) = 1)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX one_hold_is_added_at_a_time ON move_holds (session_id) WHERE state = 'held';
COMMENT ON TABLE move_holds IS
    'What was answered to each move. Held: added beside the session''s own hold; settled: that, or the hold it took the place of.';

ALTER TABLE ledger_entries
    DROP CONSTRAINT moves_of_the_kind,
    DROP CONSTRAINT member_sides_name_their_lot,
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
                ('platform:adjusted', 'member:available'), ('member:available', 'platform:adjusted'))
                -- a corrected outcome: a session's credit becomes something else than it was settled as
                OR (hold_id IS NOT NULL AND (debit_account, credit_account) IN (
                    ('member:available', 'platform:spent'), ('member:available', 'platform:forfeited'),
                    ('platform:spent', 'member:available'), ('platform:forfeited', 'member:available'),
                    ('platform:spent', 'platform:forfeited'), ('platform:forfeited', 'platform:spent')))
            ELSE false
        END),
    ADD CONSTRAINT member_sides_name_their_lot CHECK (
        (debit_lot IS NOT NULL OR NOT starts_with(debit_account, 'member:'))
        AND (credit_lot IS NOT NULL OR NOT starts_with(credit_account, 'member:'))
        AND num_nonnulls(debit_lot, credit_lot) > 0);
-- A session that was moved had several holds, and each of them may have come back.
CREATE UNIQUE INDEX a_hold_returns_once ON ledger_entries (hold_id) WHERE kind = 'return';
DROP INDEX a_session_returns_once;

CREATE OR REPLACE VIEW ledger_imbalances AS
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
), all_holds AS (
    SELECT lot_id FROM holds WHERE state = 'held' AND lot_id IS NOT NULL
    UNION ALL
    SELECT lot_id FROM move_holds WHERE state = 'held' AND lot_id IS NOT NULL
), held_sums AS (
    SELECT lot_id, count(*) AS held FROM all_holds GROUP BY lot_id
), overdue_sums AS (
    SELECT member_id, count(*) AS overdue FROM invoices WHERE status = 'overdue' GROUP BY member_id
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
WHERE lots.held <> coalesce(held_sums.held, 0)
UNION ALL
SELECT 'overdue invoices', accounts.member_id, accounts.overdue, NULL, NULL, coalesce(overdue_sums.overdue, 0)
FROM accounts LEFT JOIN overdue_sums USING (member_id)
WHERE accounts.overdue <> coalesce(overdue_sums.overdue, 0);

CREATE TABLE purchases (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    member_id text NOT NULL REFERENCES accounts,
    plan_id text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    length_minutes integer CHECK (length_minutes > 0),
    status text NOT NULL CHECK (status IN ('pending', 'paid', 'failed')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    lot_id uuid REFERENCES lots,
    asked_at timestamptz NOT NULL,
    CHECK ((status = 'paid') = (lot_id IS NOT NULL))
);
CREATE INDEX purchases_by_member ON purchases (member_id, number);

CREATE TABLE checkouts (
    id uuid PRIMARY KEY,
    member_id text NOT NULL REFERENCES accounts,
    purchase_id uuid REFERENCES purchases,
    invoice_id uuid REFERENCES invoices,
    provider text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'paid', 'failed')),
    reference text,
    url text,
    url_until timestamptz,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(purchase_id, invoice_id) = 1)
);
CREATE UNIQUE INDEX one_checkout_a_purchase ON checkouts (purchase_id) WHERE purchase_id IS NOT NULL;
CREATE UNIQUE INDEX one_open_checkout_an_invoice ON checkouts (invoice_id) WHERE invoice_id IS NOT NULL AND state = 'open';
COMMENT ON TABLE checkouts IS 'A payment asked of the payment provider, which knows it by this id; `url_until` is real time.';

CREATE TABLE payment_events (
    provider text NOT NULL,
    event_id text NOT NULL,
    checkout_id text,
    outcome text NOT NULL,
    effect text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, event_id)
);
COMMENT ON TABLE payment_events IS 'Webhooks of the payment provider, each handled once, and what came of it.';

CREATE VIEW payments_to_refund AS
SELECT checkouts.id, checkouts.member_id, checkouts.provider, checkouts.reference, checkouts.amount_minor, checkouts.currency
FROM checkouts JOIN payment_events ON payment_events.checkout_id = checkouts.id::text AND payment_events.effect = 'refund';
COMMENT ON VIEW payments_to_refund IS 'Money that came for a charge that was paid or void already, or in a wrong amount.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
