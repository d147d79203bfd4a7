"""What people write in a chat is encrypted with its author's key."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = """
ALTER TABLE chat_messages ADD COLUMN sealed bytea, ALTER COLUMN text SET DEFAULT '';
CREATE INDEX chat_messages_in_the_clear ON chat_messages (id) WHERE kind = 'text' AND text <> '';
COMMENT ON COLUMN chat_messages.text IS 'What the platform says. Of people: of an older version, in the clear; the worker seals it.';
COMMENT ON COLUMN chat_messages.sealed IS 'What a person wrote, encrypted with their key.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (KEYS_SCHEMA, SCHEMA):
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
