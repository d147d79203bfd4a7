"""The access log: refusals, reasons by code, and the chain over its rows (SEC-5)."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.access.tables import CHAIN, SCHEMA

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(SCHEMA + CHAIN))


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
