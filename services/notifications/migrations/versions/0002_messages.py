"""Plans and specialties, offers of the waitlist, calendar feeds, erasures; the queue is read by channel."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.access.tables import SCHEMA as ACCESS_SCHEMA

revision = "0002"
down_revision = "0001"

SCHEMA = """
CREATE TABLE enrolments (
    id text PRIMARY KEY,
    member_id text NOT NULL,
    plan_kind text NOT NULL,
    starts_on date NOT NULL,
    ends_on date,
    time_zone text NOT NULL,
    lengths integer[] NOT NULL,
    psychiatry_lengths integer[] NOT NULL,
    reminder_channels text[] NOT NULL
);
CREATE INDEX enrolments_by_member ON enrolments (member_id, starts_on DESC);
COMMENT ON TABLE enrolments IS 'Read model of credits.enrolments.v1: lengths (AVAIL-5) and reminder channels (REM-1) of plans.';

CREATE TABLE specialties (
    provider_id text PRIMARY KEY,
    specialty text NOT NULL,
    version integer NOT NULL
);
COMMENT ON TABLE specialties IS 'Read model of availability.schedules.v1: which of a plan''s lengths hold with a provider.';

CREATE TABLE offers (
    entry_id text PRIMARY KEY,
    member_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    lapses_at timestamptz NOT NULL
);
COMMENT ON TABLE offers IS 'Read model of availability.schedules.v1: the open offers of the waitlist (AVAIL-6).';

CREATE TABLE calendar_feeds (
    person_id text PRIMARY KEY,
    secret_hash bytea NOT NULL UNIQUE,
    made_at timestamptz NOT NULL
);
COMMENT ON COLUMN calendar_feeds.secret_hash IS 'SHA-256 of the secret in the address; the secret itself is kept nowhere.';

CREATE TABLE erasures (
    person_id text PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    times integer NOT NULL DEFAULT 1
);

ALTER TABLE rooms ADD COLUMN posted integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN rooms.posted IS 'Messages that people wrote in the room; the sequence of MessagePosted.';
CREATE INDEX rooms_by_member ON rooms (member_id);
CREATE INDEX rooms_by_provider ON rooms (provider_id);
CREATE INDEX sessions_by_room ON sessions (room_id);

CREATE INDEX deliveries_due_by_channel ON deliveries (channel, next_attempt_at, position) WHERE status = 'queued';
DROP INDEX deliveries_due;
COMMENT ON COLUMN deliveries.reason IS 'Why it was left out or failed; `in-hand` while somebody sends it.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the script below belongs to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (ACCESS_SCHEMA, SCHEMA):
        connection.run_async(lambda driver, script=script: driver.execute(script))
