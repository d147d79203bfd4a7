"""MISS-4: when a miss was found, which bookings of a missed session open its room again, and what the member gave up."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE sessions ADD COLUMN reopens_room boolean NOT NULL DEFAULT false, "
    "ADD COLUMN given_up boolean NOT NULL DEFAULT false, ADD COLUMN missed_at timestamptz",
    "COMMENT ON COLUMN sessions.reopens_room IS 'Its room is opened again once it is reserved (MISS-4).'",
    "COMMENT ON COLUMN sessions.given_up IS "
    "'The member cancelled it of their own wish: as a rebooking it used up the right (MISS-4).'",
    "COMMENT ON COLUMN sessions.missed_at IS "
    "'When the provider''s miss was found, or support corrected the outcome to one: from then on it can be rebooked (MISS-4).'",
    """UPDATE sessions SET missed_at = (
        SELECT max(at) FROM session_history AS told
        WHERE told.session_id = sessions.id
            AND (told.type = 'ProviderMissed' OR (told.type = 'OutcomeCorrected' AND told.detail LIKE 'provider_missed %')))
    WHERE status = 'provider_missed'""",
    """UPDATE sessions SET given_up = true
    WHERE status = 'cancelled' AND EXISTS (
        SELECT FROM session_history AS told
        WHERE told.session_id = sessions.id AND told.type = 'SessionCancelled' AND told.by = 'member')""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations go forward alone")
