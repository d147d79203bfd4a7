"""SEC-2: tokens that are refused before their end."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.revocation import SCHEMA

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA))
