"""JOIN-2: how long the two were together, and who left first, decide how a session ends."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """UPDATE policies SET numbers = '{"together_minutes": 5}' || numbers""",
    "ALTER TABLE sessions ADD COLUMN together_since timestamptz, ADD COLUMN together interval NOT NULL DEFAULT '0', "
    "ADD COLUMN first_left text CHECK (first_left IN ('member', 'provider'))",
    "COMMENT ON COLUMN sessions.together_since IS 'Both are in the room: since then, or from the start (JOIN-2).'",
    "COMMENT ON COLUMN sessions.together IS 'How long they were, up to the last time that one of them left the other.'",
    "COMMENT ON COLUMN sessions.first_left IS 'Who ended their first time together.'",
    # Where the old rule had begun a session, or both wait for one, they stay together until somebody leaves.
    "UPDATE sessions SET together_since = greatest(starts_at, member_joined_at, provider_joined_at) "
    "WHERE status = 'in_session' OR (status = 'confirmed' AND member_joined_at IS NOT NULL AND member_left_at IS NULL "
    "AND provider_joined_at IS NOT NULL AND provider_left_at IS NULL)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
