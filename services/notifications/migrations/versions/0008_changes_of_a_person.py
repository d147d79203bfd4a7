"""E-mail addresses that wait to be confirmed, and erasures that wait for their day."""

from __future__ import annotations

from typing import Any, cast

from alembic import op

revision = "0008"
down_revision = "0007"

SCHEMA = """
CREATE TABLE contact_changes (
    person_id text PRIMARY KEY,
    change_id uuid NOT NULL,
    email text NOT NULL,
    secret_hash bytea NOT NULL,
    master_key text NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE contact_changes IS 'Addresses that their owners have not confirmed yet. Until then the old one is used.';
COMMENT ON COLUMN contact_changes.secret_hash IS
    'SHA-256 of the secret in the link. The secret is kept nowhere: it is derived from change_id and the master key.';

CREATE TABLE erasure_requests (
    person_id text PRIMARY KEY,
    reason text NOT NULL CHECK (reason IN ('person_asked', 'consent_withdrawn', 'no_longer_needed', 'law_requires_it')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL
);
CREATE INDEX erasure_requests_due ON erasure_requests (due_at, person_id);
COMMENT ON TABLE erasure_requests IS 'Erasures that wait and can be taken back; product time.';
ALTER TABLE revocations ADD COLUMN sealed bytea, ALTER COLUMN reason SET DEFAULT '';
CREATE INDEX revocations_in_the_clear ON revocations (id) WHERE reason <> '';
COMMENT ON COLUMN revocations.reason IS 'Of an older version, in the clear: the worker seals it.';
COMMENT ON COLUMN revocations.sealed IS 'Why, encrypted with the key of the person whose sessions were ended.';
ALTER TABLE erasures ADD COLUMN reason text, ADD COLUMN requested_by text;
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
