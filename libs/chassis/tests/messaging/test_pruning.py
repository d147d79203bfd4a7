"""Pruning: what is old goes, and a table with nothing old in it is not read to find that out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_chassis.database import Database
from makegood_chassis.messaging import inbox
from makegood_chassis.messaging.maintenance import PRUNE_KEYS
from makegood_chassis.pruning import prune
from makegood_contracts.ids import new_id
from makegood_testkit.blocks import blocks_of

KEPT = timedelta(days=14)
MOST = 140
"""Blocks. A block range index (BRIN) has no summary of the last 128 yet."""
RECENT = {
    "inbox": "INSERT INTO inbox (event_id) SELECT {}::uuid FROM generate_series(1, 50000) AS number",
    "idempotency_keys": """
        INSERT INTO idempotency_keys (caller, key, fingerprint)
        SELECT 'member-' || number, {}, '' FROM generate_series(1, 50000) AS number
    """,
}
"""50,000 rows of now: more than 300 blocks."""


@pytest.mark.parametrize(("table", "statement"), [("inbox", inbox.PRUNE), ("idempotency_keys", PRUNE_KEYS)])
async def test_recent_rows_are_not_read_to_find_old_ones(database: Database, table: str, statement: str) -> None:
    made_now = f"('{new_id()[:24]}' || lpad(to_hex(number), 12, '0'))"
    async with database.reading() as queries:
        await queries.execute(RECENT[table].format(made_now))
        await queries.execute(f"VACUUM ANALYZE {table}")  # as the autovacuum does
        assert await blocks_of(queries, statement, KEPT, 5000) < MOST


async def test_events_that_were_handled_long_ago_are_forgotten_and_dead_letters_are_kept(database: Database) -> None:
    old, dead, recent = "01800000-0000-7000-8000-000000000001", "01800000-0000-7000-8000-000000000002", new_id()
    late = "01800000-0000-7000-8000-000000000003"
    async with database.reading() as queries:
        await queries.execute(
            "INSERT INTO inbox (event_id, state, handled_at) VALUES ($1, 'done', now() - interval '15 days'), "
            "($2, 'dead', now() - interval '15 days'), ($3, 'done', now()), ($4, 'done', now())",
            old, dead, recent, late,
        )  # fmt: skip
    assert await prune(database, inbox.PRUNE, KEPT) == 1
    async with database.reading() as queries:
        kept = {str(row[0]) for row in await queries.fetch("SELECT event_id FROM inbox")}
    assert kept == {dead, recent, late}
