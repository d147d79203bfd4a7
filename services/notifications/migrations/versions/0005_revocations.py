"""SEC-2: an operator ends people's sessions; who did it, when and why."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.revocation import SCHEMA as REVOKED_TOKENS

revision = "0005"
down_revision = "0004"

SCHEMA = """
CREATE TABLE revocations (
    id uuid PRIMARY KEY,
    person_id text NOT NULL,
    jti text,
    reason text NOT NULL,
    made_by text NOT NULL,
    revoked_at timestamptz NOT NULL
);
CREATE INDEX revocations_by_person ON revocations (person_id, id);
COMMENT ON TABLE revocations IS 'Orders to end a person''s sessions. revoked_tokens holds what still refuses a token.';

CREATE TABLE person_sequences (
    person_id text PRIMARY KEY,
    sequence integer NOT NULL
);
COMMENT ON TABLE person_sequences IS 'Number of the last event about the person in notifications.people.v1.';
INSERT INTO person_sequences SELECT person_id, times FROM erasures;
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (REVOKED_TOKENS, SCHEMA):
        connection.run_async(lambda driver, script=script: driver.execute(script))
