"""Policies, rooms and sessions, beside the chassis' own tables."""

from __future__ import annotations

from alembic import op
from makegood_chassis.messaging.tables import SCHEMA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE policies (
    version integer PRIMARY KEY,
    id text NOT NULL,
    numbers jsonb NOT NULL,
    in_force_from timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO policies (version, id, numbers) VALUES (1, 'standard', '{
    "notice_hours": 48, "confirm_hours": 24, "confirm_short_hours": 2, "short_notice_hours": 26,
    "join_minutes": 10, "grace_minutes": 10, "no_show_minutes": 15, "inactivity_days": 25, "offer_minutes": 120,
    "hold_minutes": 15, "decide_minutes": 5, "horizon_days": 366, "shortest_minutes": 5, "longest_minutes": 480}');
COMMENT ON TABLE policies IS 'Versions are added, never changed: each session keeps the one it was booked under.';
CREATE TABLE rooms (
    id uuid PRIMARY KEY,
    member_id text NOT NULL,
    provider_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'closed')),
    created_at timestamptz NOT NULL,
    last_activity_at timestamptz NOT NULL,
    version integer NOT NULL
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX one_active_room_of_a_pair ON rooms (member_id, provider_id) WHERE status = 'active';
CREATE INDEX rooms_of_member ON rooms (member_id, id);
CREATE INDEX rooms_of_provider ON rooms (provider_id, id);
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    room_id uuid NOT NULL,
    member_id text NOT NULL,
    provider_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    length_minutes integer NOT NULL,
    modality text NOT NULL,
    time_zone text NOT NULL,
    venue_id text,
    booked_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    policy_version integer NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    slot_state text NOT NULL,
    funding text NOT NULL,
    credit_state text NOT NULL,
    reasons jsonb,
    purchasable boolean,
    confirm_by timestamptz,
    member_joined_at timestamptz,
    member_left_at timestamptz,
    provider_joined_at timestamptz,
    provider_left_at timestamptz,
    absent_party text,
    CHECK (starts_at < ends_at),
    CHECK (status IN ('requested', 'reserved', 'confirmed', 'in_session', 'completed', 'rejected', 'declined', 'expired',
                      'cancelled', 'provider_missed', 'member_no_show')),
    CHECK (status NOT IN ('reserved', 'confirmed', 'in_session', 'completed') OR confirm_by IS NOT NULL)
) WITH (fillfactor = 60);
CREATE INDEX sessions_of_member ON sessions (member_id, starts_at, id);
CREATE INDEX sessions_of_provider ON sessions (provider_id, starts_at, id);
CREATE INDEX sessions_by_start ON sessions (starts_at, id);
COMMENT ON TABLE sessions IS
    'What changes stands in no index and the pages keep room, so that every change of a session is a HOT update.';
COMMENT ON COLUMN sessions.reasons IS 'Why it was refused: {"slot": [{code, detail}], "credit": [...]}.';
CREATE TABLE session_history (
    session_id uuid NOT NULL,
    version integer NOT NULL,
    at timestamptz NOT NULL,
    type text NOT NULL,
    by text NOT NULL,
    detail text,
    PRIMARY KEY (session_id, version)
);
CREATE TABLE session_remarks (
    session_id uuid PRIMARY KEY,
    remark text NOT NULL
);
COMMENT ON TABLE session_remarks IS
    'What a party wrote when it cancelled. For the two parties alone; never in an event, a log or a dead letter.';
CREATE TABLE session_links (
    session_id uuid NOT NULL,
    party text NOT NULL,
    token text NOT NULL,
    PRIMARY KEY (session_id, party)
);
COMMENT ON TABLE session_links IS 'The opaque token in the join link of a party.';
"""


def upgrade() -> None:
    for script in (SCHEMA, _TABLES):
        for statement in script.split(";\n"):
            if statement.strip():
                op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first migration")
