"""What the four databases say, read side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from makegood_cli.errors import UserError

Rows = list[asyncpg.Record]

SESSIONS = """
SELECT id::text, status, version, member_id, provider_id, venue_id, starts_at, ends_at, credit_state
FROM sessions
"""
SLOT_HOLDS = "SELECT session_id::text, provider_id, member_id, starts_at, ends_at, live, firm FROM slot_holds"
OVERLAPS = """
SELECT a.session_id::text AS one, b.session_id::text AS other
FROM slot_holds a JOIN slot_holds b ON a.session_id < b.session_id AND a.live AND b.live
    AND ((a.provider_id = b.provider_id AND a.blocked && b.blocked)
      OR (a.member_id = b.member_id AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at))
      OR (a.venue_id = b.venue_id AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)))
"""
CREDIT_HOLDS = """
SELECT holds.session_id::text, holds.member_id, holds.state, holds.lot_id IS NOT NULL AS is_credit, invoices.status AS invoice
FROM holds LEFT JOIN invoices ON invoices.id = holds.invoice_id
"""
SETTLEMENTS = """
SELECT session_id::text, count(*) AS times FROM ledger_entries
WHERE session_id IS NOT NULL AND debit_account = 'member:held' GROUP BY session_id HAVING count(*) > 1
"""
RETURNS = """
SELECT session_id::text, count(*) AS times FROM ledger_entries
WHERE session_id IS NOT NULL AND kind = 'return' GROUP BY session_id HAVING count(*) > 1
"""
IMBALANCES = "SELECT what, id, available, held, available_entered, held_entered FROM ledger_imbalances"
MISSED_EMAILS = """
SELECT session_id::text, count(*) AS times FROM deliveries
WHERE channel = 'email' AND template = 'provider-missed' GROUP BY session_id
"""
OUTBOX = "SELECT count(*) AS unsent, extract(epoch FROM clock_timestamp() - min(created_at)) AS age FROM outbox"
OVERDUE = "SELECT count(*) FROM deadlines WHERE attempts > 0"


@dataclass(frozen=True)
class Snapshot:
    """Rows by what they are, as plain records of asyncpg."""

    sessions: Rows
    slot_holds: Rows
    overlaps: Rows
    credit_holds: Rows
    settlements: Rows
    returns: Rows
    imbalances: Rows
    missed_emails: Rows
    outboxes: Mapping[str, asyncpg.Record]


async def take(database_urls: Mapping[str, str]) -> Snapshot:
    """Reads all of it. Raises UserError for a database that does not answer."""
    booking, availability, credits, notifications = await asyncio.gather(
        _read(database_urls, "booking", SESSIONS, OUTBOX),
        _read(database_urls, "availability", SLOT_HOLDS, OVERLAPS, OUTBOX),
        _read(database_urls, "credits", CREDIT_HOLDS, SETTLEMENTS, RETURNS, IMBALANCES, OUTBOX),
        _read(database_urls, "notifications", MISSED_EMAILS, OUTBOX),
    )
    return Snapshot(
        sessions=booking[0],
        slot_holds=availability[0],
        overlaps=availability[1],
        credit_holds=credits[0],
        settlements=credits[1],
        returns=credits[2],
        imbalances=credits[3],
        missed_emails=notifications[0],
        outboxes={
            "booking": booking[-1][0],
            "availability": availability[-1][0],
            "credits": credits[-1][0],
            "notifications": notifications[-1][0],
        },
    )


async def _read(urls: Mapping[str, str], service: str, *queries: str) -> list[Rows]:
    """The answers to the queries, all of one moment."""
    connection: asyncpg.Connection[Any]
    try:
        connection = await asyncpg.connect(urls[service], timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise UserError(
            f"the database of {service} does not answer ({type(error).__name__}); is it up? makegood up"
        ) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return [await connection.fetch(query) for query in queries]
    except asyncpg.UndefinedTableError as error:
        raise UserError(f"the database of {service} is not migrated ({error}); makegood up") from error
    finally:
        await connection.close()
