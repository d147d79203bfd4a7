"""What support writes stands beside the ledger, encrypted with the key of its member."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE support_reasons (
    kind text NOT NULL CHECK (kind IN ('entry', 'proposal', 'invoice')),
    entity_id uuid NOT NULL,
    member_id text NOT NULL,
    reason text,
    sealed bytea,
    PRIMARY KEY (kind, entity_id)
);
CREATE INDEX support_reasons_of_member ON support_reasons (member_id);
CREATE INDEX support_reasons_in_the_clear ON support_reasons (kind, entity_id) WHERE reason IS NOT NULL;
COMMENT ON TABLE support_reasons IS
    'What support wrote with an entry, a proposal or a voided invoice: beside the ledger, which never changes, so that it can be '
    'erased with its member.';
COMMENT ON COLUMN support_reasons.reason IS 'Of an older version, in the clear: the worker seals it.';
COMMENT ON COLUMN support_reasons.sealed IS 'The reason, encrypted with the member''s key.';

-- The one time that entries change: what people wrote moves out of them, and nothing that counts is touched.
INSERT INTO support_reasons (kind, entity_id, member_id, reason)
SELECT 'entry', id, member_id, reason FROM ledger_entries
WHERE kind IN ('adjust', 'return') AND made_by <> 'system' AND reason <> 'The session''s outcome was corrected.'
UNION ALL SELECT 'proposal', id, member_id, reason FROM adjustment_proposals
UNION ALL SELECT 'invoice', id, member_id, void_reason FROM invoices WHERE void_reason IS NOT NULL;
ALTER TABLE ledger_entries DISABLE TRIGGER ledger_only_grows;
UPDATE ledger_entries AS e SET reason = 'Made by support.' FROM support_reasons AS r WHERE r.kind = 'entry' AND e.id = r.entity_id;
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_only_grows;
UPDATE adjustment_proposals SET reason = 'Made by support.';
UPDATE invoices SET void_reason = 'Made by support.' WHERE void_reason IS NOT NULL;
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (KEYS_SCHEMA, SCHEMA):
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
