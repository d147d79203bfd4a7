"""SEC-5: who read or changed what of whom."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.access.tables import SCHEMA

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
