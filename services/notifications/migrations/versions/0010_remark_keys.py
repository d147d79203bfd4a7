"""Whether booking knows with what to seal a person's remarks."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE people ADD COLUMN key_published boolean NOT NULL DEFAULT false",
    "COMMENT ON COLUMN people.key_published IS 'Whether the public half of the person''s key was told on notifications.people.v1.'",
    "CREATE INDEX people_without_published_key ON people (id) WHERE NOT key_published",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
