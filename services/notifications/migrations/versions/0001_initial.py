"""People's contacts, what is known of rooms and sessions, chat, deliveries, and the stream of client apps."""

from __future__ import annotations

from typing import Any, cast

from alembic import op
from makegood_chassis.messaging.tables import SCHEMA as CHASSIS_SCHEMA

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE people (
    id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    phone text,
    time_zone text NOT NULL,
    locale text NOT NULL DEFAULT 'en',
    by_email boolean NOT NULL DEFAULT true,
    by_whatsapp boolean NOT NULL DEFAULT false,
    by_chat boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE people IS 'Personal data. It stands in this service''s database alone.';

CREATE TABLE rooms (
    id uuid PRIMARY KEY,
    member_id text NOT NULL,
    provider_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'closed')),
    version integer NOT NULL
);
COMMENT ON TABLE rooms IS 'Read model of booking.rooms.v1: who may read and write a room''s chat.';

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    room_id uuid NOT NULL,
    member_id text NOT NULL,
    provider_id text NOT NULL,
    status text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    length_minutes integer NOT NULL,
    modality text NOT NULL,
    time_zone text NOT NULL,
    venue_id text,
    version integer NOT NULL,
    invitation_sequence integer
) WITH (fillfactor = 70);
COMMENT ON TABLE sessions IS 'Read model of booking.sessions.v1, from the moment a session is reserved.';
COMMENT ON COLUMN sessions.invitation_sequence IS 'SEQUENCE of the last calendar invitation; null: never invited.';

CREATE TABLE returns_to_tell (
    event_id uuid PRIMARY KEY,
    session_id uuid NOT NULL,
    correlation_id text NOT NULL,
    traceparent text,
    occurred_at timestamptz NOT NULL
);
CREATE INDEX returns_to_tell_by_session ON returns_to_tell (session_id);
COMMENT ON TABLE returns_to_tell IS 'Credits returned for sessions this service has not heard of yet: topics keep no order among each other.';

CREATE TABLE chat_messages (
    id uuid PRIMARY KEY,
    room_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('text', 'system')),
    template text,
    text text NOT NULL CHECK (char_length(text) <= 4000),
    sender_id text,
    sent_at timestamptz NOT NULL,
    event_id uuid,
    CHECK ((kind = 'text') = (sender_id IS NOT NULL)),
    CHECK ((kind = 'system') = (template IS NOT NULL AND event_id IS NOT NULL)),
    UNIQUE (event_id, room_id, template)
);
CREATE INDEX chat_messages_by_room ON chat_messages (room_id, id DESC);

CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    person_id text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'chat', 'whatsapp', 'in_app')),
    template text NOT NULL,
    subject text,
    status text NOT NULL CHECK (status IN ('queued', 'sent', 'failed', 'skipped')),
    reason text,
    session_id uuid,
    facts jsonb NOT NULL,
    correlation_id text NOT NULL,
    traceparent text,
    occurred_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    UNIQUE (event_id, person_id, channel, template)
) WITH (fillfactor = 80);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at, position) WHERE status = 'queued';
CREATE INDEX deliveries_order ON deliveries (person_id, session_id, position) WHERE status = 'queued';
CREATE INDEX deliveries_by_person ON deliveries (person_id, id DESC);
CREATE INDEX deliveries_by_session ON deliveries (session_id, id DESC);
COMMENT ON COLUMN deliveries.next_attempt_at IS 'Real time. Taking a delivery moves it ahead by the lease, so one whose sender died is due again.';
COMMENT ON COLUMN deliveries.occurred_at IS 'Real time of the event that the message tells of.';

CREATE TABLE stream (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    member_id text NOT NULL,
    provider_id text,
    kind text NOT NULL,
    data jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX stream_of_member ON stream (member_id, txid, position);
CREATE INDEX stream_of_provider ON stream (provider_id, txid, position) WHERE provider_id IS NOT NULL;
CREATE INDEX stream_by_age ON stream USING brin (made_at);
COMMENT ON COLUMN stream.txid IS 'Rows are read in the order of transactions that no open one precedes, so none is skipped.';
"""


def upgrade() -> None:
    op.execute("SELECT 1")  # opens the transaction that the scripts below belong to
    connection = cast(Any, op.get_bind().connection.dbapi_connection)
    for script in (CHASSIS_SCHEMA, SCHEMA):
        # Many statements at once: only the driver itself takes them.
        connection.run_async(lambda driver, script=script: driver.execute(script))
