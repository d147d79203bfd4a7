"""Notes of time off are encrypted with their provider's key."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.personal_data.key_store import SCHEMA as KEYS_SCHEMA

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = """
ALTER TABLE time_off ADD COLUMN sealed bytea;
CREATE INDEX time_off_in_the_clear ON time_off (id) WHERE note IS NOT NULL;
COMMENT ON COLUMN time_off.note IS 'Of an older version, in the clear: the worker seals it.';
COMMENT ON COLUMN time_off.sealed IS 'The provider''s note, encrypted with their key.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (KEYS_SCHEMA, SCHEMA):
        connection.run_async(lambda driver, script=script: driver.execute(script))


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
