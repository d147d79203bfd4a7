"""The tables that stand in every service's database beside its own, and the statements that write them.

outbox: inserting a row is publishing; the relay sends rows in the order of `id` and deletes what the broker took.
inbox: ids of events that were handled, written in the handler's own transaction, and of those that a restore withdrew.
deadlines: moments that no request or event triggers; one row per kind and entity.
leases: who is the one relay; `fence` rises with each new holder.
idempotency_keys: changes that must not happen twice, with their first answer.
clock: the development clock's offset. processes: who is there and which clock it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from makegood_contracts.envelope import Record

from makegood_chassis.statements import BoundStatement

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

_PUBLISH = """
INSERT INTO outbox (topic, key, headers, payload)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
RETURNING id
"""
_SET_DEADLINES = """
INSERT INTO deadlines (kind, entity_id, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
ON CONFLICT (kind, entity_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0
"""
_DROP_DEADLINES = """
DELETE FROM deadlines USING unnest($1::text[], $2::text[]) AS gone (kind, entity_id)
WHERE deadlines.kind = gone.kind AND deadlines.entity_id = gone.entity_id
"""
_NOTE_HANDLED = """
INSERT INTO inbox (event_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id
"""

_encode_headers = msgspec.json.Encoder().encode


def publish(records: Sequence[Record]) -> BoundStatement:
    """Inserts the records in order, and returns the ids of their rows, which rise in this order."""
    headers = [_encode_headers(record.headers).decode() for record in records]
    return BoundStatement(
        _PUBLISH,
        [
            [record.topic for record in records],
            [record.key for record in records],
            headers,
            [record.value for record in records],
        ],
    )


def set_deadlines(deadlines: Mapping[tuple[str, str], datetime | None]) -> list[BoundStatement]:
    """Sets the deadlines that have a moment, and deletes those that have none, in a fixed order to avoid deadlocks."""
    kept = sorted((*pair, due_at) for pair, due_at in deadlines.items() if due_at is not None)
    dropped = sorted(pair for pair, due_at in deadlines.items() if due_at is None)
    statements = []
    if kept:
        statements.append(BoundStatement(_SET_DEADLINES, _columns(kept, 3)))
    if dropped:
        statements.append(BoundStatement(_DROP_DEADLINES, _columns(dropped, 2)))
    return statements


def note_handled(event_ids: Iterable[str]) -> BoundStatement:
    """Enters events in the inbox, and returns the ids of those that were not there.

    Every process uses the same order. Otherwise two that see the same events could wait for each other.
    """
    return BoundStatement(_NOTE_HANDLED, [sorted(event_ids)])


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(width)]


LEANER = """
DROP INDEX inbox_by_age;
ALTER TABLE idempotency_keys SET (fillfactor = 10);
ALTER INDEX idempotency_keys_by_age SET (autosummarize = on);
COMMENT ON TABLE idempotency_keys IS
    'Nine tenths of a page stay free for the answers, which are ten times as long as the keys: storing one touches no index.';
"""
"""A later migration. An index by age was written with each event and never read; `inbox.PRUNE` uses the primary key."""

WITHDRAWN = """
ALTER TABLE inbox DROP CONSTRAINT inbox_state_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_state_check CHECK (state IN ('done', 'dead', 'withdrawn')) NOT VALID;
COMMENT ON COLUMN inbox.state IS 'withdrawn: a restore left the event behind on the topics. No service may handle it; such rows are never pruned.';
"""
"""A later migration. The old rows satisfy the constraint, so nothing is scanned."""
