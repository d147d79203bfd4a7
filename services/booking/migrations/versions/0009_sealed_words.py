"""Remarks and notes are encrypted with the key of the person whose they are."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = """
ALTER TABLE session_remarks ADD COLUMN author text, ADD COLUMN sealed bytea, ALTER COLUMN remark SET DEFAULT '';
CREATE INDEX session_remarks_of_author ON session_remarks (author);
CREATE INDEX session_remarks_in_the_clear ON session_remarks (session_id) WHERE remark <> '';
COMMENT ON COLUMN session_remarks.remark IS 'Of an older version, in the clear: the worker seals it.';
COMMENT ON COLUMN session_remarks.sealed IS 'The remark, encrypted with its author''s key.';
ALTER TABLE session_notes ADD COLUMN person_id text, ADD COLUMN sealed bytea;
CREATE INDEX session_notes_of_person ON session_notes (person_id);
CREATE INDEX session_notes_in_the_clear ON session_notes (session_id, version) WHERE note IS NOT NULL;
COMMENT ON COLUMN session_notes.note IS 'Of an older version, in the clear: the worker seals it.';
COMMENT ON COLUMN session_notes.person_id IS 'Whose key the note is encrypted with: the party who disputes, the member of a corrected session.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (KEYS_SCHEMA, SCHEMA):
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
