"""Moves of holds, rooms, and the waitlist with its offers."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE slot_holds ADD COLUMN sequence integer NOT NULL DEFAULT 1",
    "UPDATE slot_holds SET sequence = 2 WHERE NOT live AND hold_until IS NOT NULL",
    "ALTER TABLE slot_holds ADD COLUMN offered_to text",
    "ALTER TABLE slot_holds ADD COLUMN entry_id uuid",
    """COMMENT ON COLUMN slot_holds.sequence IS 'Of the last event about the session: held, each answer to a move, released.'""",
    """COMMENT ON COLUMN slot_holds.offered_to IS
        'Not a session''s hold but an offer to this member (AVAIL-6), under an id of its own. Its member_id is made up from the
        entry''s id: what is only offered must not keep the member from booking elsewhere.'""",
    """COMMENT ON COLUMN slot_holds.entry_id IS 'The waitlist entry whose offer this is, or whose offer the session took.'""",
    """CREATE TABLE slot_moves (
        move_id uuid PRIMARY KEY,
        session_id uuid NOT NULL,
        decided_at timestamptz NOT NULL
    )""",
    "COMMENT ON TABLE slot_moves IS 'Moves that were answered: each is answered once, whoever repeats it.'",
    "ALTER TABLE schedules ADD COLUMN sequence bigint NOT NULL DEFAULT 0",
    "UPDATE schedules SET sequence = version",
    """COMMENT ON COLUMN schedules.sequence IS
        'Of the last event with the provider''s key: changes of the schedule, of time off and of the waitlist. Whoever changes
        the waitlist of a provider locks this row first.'""",
    """CREATE TABLE rooms (
        room_id uuid PRIMARY KEY,
        member_id text NOT NULL,
        provider_id text NOT NULL,
        version integer NOT NULL,
        active boolean NOT NULL
    )""",
    """CREATE TABLE waitlist (
        id uuid PRIMARY KEY,
        room_id uuid NOT NULL,
        provider_id text NOT NULL,
        member_id text NOT NULL,
        waits_from timestamptz NOT NULL,
        waits_until timestamptz NOT NULL,
        length_minutes integer NOT NULL,
        modality text NOT NULL,
        status text NOT NULL CHECK (status IN ('waiting', 'offered', 'booked', 'lapsed')),
        offer_starts_at timestamptz,
        offer_ends_at timestamptz,
        lapses_at timestamptz,
        session_id uuid,
        CHECK (waits_from < waits_until),
        CHECK (status <> 'offered' OR (offer_starts_at IS NOT NULL AND offer_ends_at IS NOT NULL AND lapses_at IS NOT NULL))
    )""",
    "CREATE INDEX waitlist_line ON waitlist (provider_id, id) WHERE status IN ('waiting', 'offered')",
    "CREATE INDEX waitlist_of_member ON waitlist (member_id) WHERE status IN ('waiting', 'offered')",
    "CREATE INDEX waitlist_of_room ON waitlist (room_id, id)",
    "CREATE INDEX waitlist_taken ON waitlist (session_id) WHERE session_id IS NOT NULL",
    """COMMENT ON COLUMN waitlist.session_id IS
        'The session that took the offer. While it is not reserved the entry stays offered: a booking that is refused gives the
        offer back.'""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
