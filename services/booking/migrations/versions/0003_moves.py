"""Moves, reconfirmation, and what people write about a session."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE sessions ADD COLUMN move jsonb, ADD COLUMN moved_by_provider boolean NOT NULL DEFAULT false, "
    "ADD COLUMN reconfirmation text CHECK (reconfirmation IN ('due', 'asked', 'given'))",
    "COMMENT ON COLUMN sessions.move IS 'A change of time that is being decided, or the last one that was refused.'",
    # The first policy, with the numbers that it always meant.
    """UPDATE policies SET numbers = '{"reconfirm_hours": 48, "reminder_hours": [24, 1]}' || numbers""",
    """CREATE TABLE session_notes (
        session_id uuid NOT NULL,
        version integer NOT NULL,
        kind text NOT NULL CHECK (kind IN ('dispute', 'correction')),
        author text NOT NULL,
        role text NOT NULL,
        note text,
        PRIMARY KEY (session_id, version)
    )""",
    "CREATE INDEX session_notes_of_author ON session_notes (author)",
    "COMMENT ON TABLE session_notes IS 'What a party wrote with a dispute and support with a correction, by the version of "
    "the session that it led to. Shown to those it is meant for; never in an event, a log or a dead letter.'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
