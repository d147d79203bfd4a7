"""JOIN-3: sessions in person are checked in to with the venue's code, or the provider says how they went."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """UPDATE policies SET numbers = '{"answer_hours": 24}' || numbers""",
    "ALTER TABLE sessions ADD COLUMN outcome_asked boolean NOT NULL DEFAULT false",
    "COMMENT ON COLUMN sessions.outcome_asked IS "
    "'It was in person, nobody had checked in, and the provider is or was asked how it went (JOIN-3).'",
    "CREATE TABLE venue_codes (venue_id text PRIMARY KEY, version bigint NOT NULL, digest text)",
    "COMMENT ON TABLE venue_codes IS 'As availability told: the digest of the code that each venue shows (JOIN-3).'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
