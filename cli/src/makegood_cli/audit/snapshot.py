"""Reads a snapshot of the four databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from makegood_devtools.errors import UserError

from makegood_cli.audit import queries
from makegood_cli.audit.trail import Trail, read_trail

Row = Mapping[str, Any]
"""A row, by column name."""
Rows = Sequence[Row]


@dataclass(frozen=True)
class Snapshot:
    """The rows of each query. Fields and columns are named as in `queries`."""

    now: datetime
    """Booking's product time."""
    sessions: Rows
    rooms: Rows
    debtors: Rows
    slot_holds: Rows
    overlaps: Rows
    offers: Rows
    candidates: Rows
    awaited: Rows
    published: Rows
    erased: Rows
    schedules: Rows
    credit_holds: Rows
    added_holds: Rows
    invoices: Rows
    accounts: Rows
    settlements: Rows
    returns: Rows
    lapsed_returns: Rows
    guarantees: Rows
    unused_payments: Rows
    imbalances: Rows
    missed_emails: Rows
    finished_deliveries: Rows
    outboxes: Mapping[str, Row]
    """By service."""
    late_deadlines: Mapping[str, Rows]
    """By service."""
    trails: Mapping[str, Trail]
    """The access logs, by service."""
    withdrawn: frozenset[str] = frozenset()
    """Ids of events that no service handles, because a restore left them behind."""


_ASKED: Mapping[str, Mapping[str, str]] = {
    "booking": {"now": queries.NOW, "sessions": queries.SESSIONS, "rooms": queries.ROOMS, "debtors": queries.DEBTORS},
    "availability": {
        "slot_holds": queries.SLOT_HOLDS,
        "overlaps": queries.OVERLAPS,
        "offers": queries.OFFERS,
        "candidates": queries.CANDIDATES,
        "awaited": queries.AWAITED,
        "published": queries.PUBLISHED,
        "schedules": queries.SCHEDULES,
    },
    "credits": {
        "credit_holds": queries.CREDIT_HOLDS,
        "added_holds": queries.ADDED_HOLDS,
        "invoices": queries.INVOICES,
        "accounts": queries.ACCOUNTS,
        "settlements": queries.SETTLEMENTS,
        "returns": queries.RETURNS,
        "lapsed_returns": queries.LAPSED_RETURNS,
        "guarantees": queries.GUARANTEES,
        "unused_payments": queries.UNUSED_PAYMENTS,
        "imbalances": queries.IMBALANCES,
    },
    "notifications": {
        "missed_emails": queries.MISSED_EMAILS,
        "erased": queries.ERASED,
        "finished_deliveries": queries.FINISHED_DELIVERIES,
    },
}
_EACH = {
    "outbox": queries.OUTBOX,
    "late_deadlines": queries.LATE_DEADLINES,
    "withdrawn": queries.WITHDRAWN,
}


async def take(database_urls: Mapping[str, str]) -> Snapshot:
    """Takes a snapshot. Raises UserError if a database does not answer."""
    answers = await asyncio.gather(
        *(_read(database_urls[service], service, {**asked, **_EACH}) for service, asked in _ASKED.items())
    )
    of = dict(zip(_ASKED, answers, strict=True))
    rows = {name: of[service][name] for service, asked in _ASKED.items() for name in asked}
    return Snapshot(
        **{**rows, "now": rows["now"][0]["now"]},
        outboxes={service: found["outbox"][0] for service, found in of.items()},
        late_deadlines={service: found["late_deadlines"] for service, found in of.items()},
        trails={service: found["trail"] for service, found in of.items()},
        withdrawn=frozenset(row["event_id"] for found in of.values() for row in found["withdrawn"]),
    )


async def _read(url: str, service: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """The rows of each query by name, all read in one transaction."""
    connection: asyncpg.Connection[Any]
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise UserError(
            f"the database of {service} does not answer ({type(error).__name__}). Start it with: makegood up"
        ) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found: dict[str, Any] = {name: await connection.fetch(query) for name, query in asked.items()}
            return {**found, "trail": await read_trail(connection)}
    except asyncpg.UndefinedTableError as error:
        raise UserError(f"the database of {service} is not migrated ({error}). Migrate it with: makegood up") from error
    finally:
        await connection.close()
