"""The tables that stand in every service's database beside its own, and the statements that write them.

outbox: inserting a row is publishing; the relay sends rows in the order of `id` and deletes what the broker took.
inbox: ids of events that were handled, written in the handler's own transaction.
deadlines: moments that no request or event triggers; one row per kind and entity.
leases: who is the one relay; `fence` rises with each new holder.
idempotency_keys: changes that must not happen twice, with their first answer.
clock: the development clock's offset. processes: who is there and which clock it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from makegood_contracts.envelope import Record

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

SCHEMA = """
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    headers text NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE inbox (
    event_id uuid PRIMARY KEY,
    state text NOT NULL DEFAULT 'done' CHECK (state IN ('done', 'dead')),
    redrive integer NOT NULL DEFAULT 0,
    handled_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX inbox_by_age ON inbox USING brin (handled_at);
CREATE TABLE deadlines (
    kind text NOT NULL,
    entity_id text NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, entity_id)
);
CREATE INDEX deadlines_due ON deadlines (due_at);
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE idempotency_keys (
    caller text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    resource text,
    status smallint,
    headers jsonb,
    body bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys USING brin (created_at);
CREATE TABLE clock (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    offset_seconds double precision NOT NULL DEFAULT 0,
    revision bigint NOT NULL DEFAULT 0
);
INSERT INTO clock DEFAULT VALUES;
CREATE TABLE processes (
    id text PRIMARY KEY,
    role text NOT NULL,
    clock_revision bigint NOT NULL DEFAULT 0,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
"""What a service's first migration executes, before its own tables."""

_WRITE_OUTBOX = """
INSERT INTO outbox (topic, key, headers, payload)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
"""

_WRITE = f"""
WITH kept AS (
    INSERT INTO deadlines (kind, entity_id, due_at)
    SELECT * FROM unnest($5::text[], $6::text[], $7::timestamptz[])
    ON CONFLICT (kind, entity_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0
), dropped AS (
    DELETE FROM deadlines USING unnest($8::text[], $9::text[]) AS gone (kind, entity_id)
    WHERE deadlines.kind = gone.kind AND deadlines.entity_id = gone.entity_id
)
{_WRITE_OUTBOX}
"""  # noqa: S608 (a constant of ours)

_encode_headers = msgspec.json.Encoder().encode


async def write(
    connection: Connection, records: Sequence[Record], deadlines: Mapping[tuple[str, str], datetime | None]
) -> None:
    """Inserts the records in order, sets the deadlines that have a moment, and deletes those that have none.

    It uses a fixed order to avoid deadlocks. It is one statement, because a round trip costs more than a row.
    """
    if not records and not deadlines:
        return
    outbox = [
        [record.topic for record in records],
        [record.key for record in records],
        [_encode_headers(record.headers).decode() for record in records],
        [record.value for record in records],
    ]
    if not deadlines:
        await connection.execute(_WRITE_OUTBOX, *outbox)
        return
    kept = sorted((*pair, due_at) for pair, due_at in deadlines.items() if due_at is not None)
    dropped = sorted(pair for pair, due_at in deadlines.items() if due_at is None)
    await connection.execute(_WRITE, *outbox, *_columns(kept, 3), *_columns(dropped, 2))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(width)]
