"""A scratch database on a PostgreSQL server, with the tables that a booking touches in their smallest form.

The floor and the peer both run on these, so that each does the same durable work for one booking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg

TABLES = """
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE sessions (
    id uuid PRIMARY KEY, room_id uuid NOT NULL, member_id text NOT NULL, provider_id text NOT NULL,
    starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, status text NOT NULL, version int NOT NULL DEFAULT 1
);
CREATE INDEX ON sessions (member_id, starts_at);
CREATE TABLE slot_holds (
    session_id uuid PRIMARY KEY, provider_id text NOT NULL, member_id text NOT NULL, during tstzrange NOT NULL,
    EXCLUDE USING gist (provider_id WITH =, during WITH &&),
    EXCLUDE USING gist (member_id WITH =, during WITH &&)
);
CREATE TABLE accounts (
    member_id text PRIMARY KEY, available int NOT NULL CHECK (available >= 0), held int NOT NULL DEFAULT 0
);
CREATE TABLE credit_holds (session_id uuid PRIMARY KEY, member_id text NOT NULL, state text NOT NULL);
CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, member_id text NOT NULL, session_id uuid NOT NULL,
    kind text NOT NULL, amount int NOT NULL
);
CREATE TABLE idempotency_keys (caller text, key text, fingerprint bytea NOT NULL, PRIMARY KEY (caller, key));
CREATE TABLE inbox (event_id uuid PRIMARY KEY);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key text NOT NULL, payload bytea NOT NULL
);
"""

MEMBERS = 256
"""Members that book at once; each has credits enough."""

PAYLOAD = b"x" * 400
"""An event's size."""

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
LENGTH = timedelta(minutes=45)


def slot(number: int) -> tuple[str, str, datetime, datetime]:
    """Member, provider, start and end of booking `number`; no two overlap."""
    lane, turn = number % MEMBERS, number // MEMBERS
    start = EPOCH + turn * LENGTH
    return f"member-{lane}", f"provider-{lane}", start, start + LENGTH


@asynccontextmanager
async def scratch_database(server_url: str, name: str) -> AsyncIterator[str]:
    """The address of a fresh database with the tables above, dropped at the end. `server_url` needs CREATEDB."""
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{name}"')
        url = server_url.rsplit("/", 1)[0] + f"/{name}"
        connection = await asyncpg.connect(url)
        await connection.execute(TABLES)
        await connection.executemany(
            "INSERT INTO accounts VALUES ($1, 1000000)", [(f"member-{number}",) for number in range(MEMBERS)]
        )
        await connection.close()
        yield url
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()
