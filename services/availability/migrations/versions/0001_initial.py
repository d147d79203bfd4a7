"""Schedules, time off, venues and slot holds, beside the chassis' own tables."""

from __future__ import annotations

from alembic import op
from makegood_chassis.messaging.tables import SCHEMA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# btree_gist gives GiST indexes an `=`. A superuser has made it at set-up; it is a trusted extension, so the owner of
# the database can, too. Asked for only where it is missing: another login may lack even the right to ask.
_EXTENSION = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist') THEN
        CREATE EXTENSION IF NOT EXISTS btree_gist;
    END IF;
END $$
"""

_TABLES = """
CREATE TABLE schedules (
    provider_id text PRIMARY KEY,
    version bigint NOT NULL,
    body jsonb,
    changed_at timestamptz NOT NULL
);
CREATE TABLE time_off (
    id uuid PRIMARY KEY,
    provider_id text NOT NULL REFERENCES schedules,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    note text,
    CHECK (starts_at < ends_at)
);
CREATE INDEX time_off_by_end ON time_off (provider_id, ends_at);
CREATE TABLE venues (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    name text NOT NULL,
    time_zone text NOT NULL,
    weekly jsonb
);
CREATE TABLE slot_holds (
    session_id uuid PRIMARY KEY,
    provider_id text NOT NULL,
    member_id text NOT NULL,
    provider_key bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(provider_id, 0)) STORED,
    member_key bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(member_id, 0)) STORED,
    venue_id text,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    blocked tstzrange NOT NULL,
    hold_until timestamptz,
    live boolean NOT NULL,
    firm boolean NOT NULL DEFAULT false,
    cause text,
    ended_at timestamptz,
    CHECK (starts_at < ends_at),
    CHECK (live = (cause IS NULL)),
    CHECK (live = (ended_at IS NULL)),
    CHECK (NOT live OR (hold_until IS NOT NULL AND blocked @> tstzrange(starts_at, ends_at))),
    CONSTRAINT one_session_of_a_provider
        EXCLUDE USING gist (provider_key WITH =, blocked WITH &&) WHERE (live),
    CONSTRAINT one_session_of_a_member
        EXCLUDE USING gist (member_key WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (live),
    CONSTRAINT one_session_in_a_venue
        EXCLUDE USING gist (venue_id WITH =, tstzrange(starts_at, ends_at) WITH &&) WHERE (live AND venue_id IS NOT NULL)
) WITH (fillfactor = 50);
CREATE INDEX slot_holds_to_lapse ON slot_holds (hold_until) WHERE live;
COMMENT ON TABLE slot_holds IS
    'One row a session that holds or held a slot (AVAIL-3). Sessions that ended without a hold are remembered, too, not live.';
COMMENT ON COLUMN slot_holds.blocked IS
    'The provider''s time with the buffers of the day it was booked: between two sessions lie the buffer after the first '
    'and the one before the second.';
COMMENT ON COLUMN slot_holds.provider_key IS
    'A 64-bit hash: GiST compares numbers twice as fast as texts. Were two ids ever to share one, the constraint would '
    'refuse too much, never too little.';
COMMENT ON COLUMN slot_holds.firm IS
    'Reserved, so it does not lapse. In no index, and half of each page is left free for it, so that making a hold firm '
    'touches no index (HOT update): a quarter of the cost.';
"""


def upgrade() -> None:
    op.execute(_EXTENSION)
    for script in (SCHEMA, _TABLES):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first migration")
