"""Everything that is stored about a person, to export page by page, or to erase."""

# ruff: noqa: S608 (every part of a statement is a constant)

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from makegood_chassis.access.erasure import erase_remarks
from makegood_chassis.database import Database, Queries, UnitOfWork

from makegood_notifications.store import chat
from makegood_notifications.store.deliveries import WITHDRAW

_ROOMS: Final = "SELECT id FROM rooms WHERE member_id = $1 UNION ALL SELECT id FROM rooms WHERE provider_id = $1"

AT_ONCE: Final = 500
"""Rows of one page."""

_PAGES: Final = {
    "rooms": f"""
        SELECT id, member_id, provider_id, status FROM rooms
        WHERE id IN ({_ROOMS}) AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3""",
    "sessions": f"""
        SELECT id, room_id, member_id, provider_id, status, starts_at, ends_at, length_minutes, modality, time_zone, venue_id
        FROM sessions WHERE room_id IN ({_ROOMS}) AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3""",
    "messages": f"""
        SELECT {chat.COLUMNS} FROM chat_messages
        WHERE room_id IN ({_ROOMS}) AND (sender_id = $1 OR kind = 'system') AND ($2::uuid IS NULL OR id > $2)
        ORDER BY chat_messages.id LIMIT $3""",
    "deliveries": """
        SELECT id, channel, template, subject, status, reason, session_id, sent_at, invited, recipient FROM deliveries
        WHERE person_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3""",
    "enrolments": """
        SELECT id, plan_kind, starts_on, ends_on, time_zone, lengths, psychiatry_lengths, reminder_channels FROM enrolments
        WHERE member_id = $1 AND ($2::text IS NULL OR id > $2) ORDER BY id LIMIT $3""",
    "offers": """
        SELECT entry_id, starts_at, lapses_at FROM offers
        WHERE member_id = $1 AND ($2::text IS NULL OR entry_id > $2) ORDER BY entry_id LIMIT $3""",
    "accesses": """
        SELECT id, at, caller, role, operation, entity, outcome, reason FROM access_rows
        WHERE person_id = $1 AND ($2::bigint IS NULL OR id > $2) ORDER BY id LIMIT $3""",
}
"""Each list, sorted by its first column, after the last row that was read. Over years it can outgrow memory."""
LISTS: Final = tuple(_PAGES)
_ONES: Final = {
    "contact": """
        SELECT name, email, phone, time_zone, locale, by_email, by_whatsapp, by_chat, updated_at FROM people WHERE id = $1""",
    "contact_change": "SELECT email, expires_at FROM contact_changes WHERE person_id = $1",
    "erasure_request": "SELECT reason, requested_by, requested_at, due_at FROM erasure_requests WHERE person_id = $1",
    "calendar_feed": "SELECT made_at FROM calendar_feeds WHERE person_id = $1",
}

_ERASURE: Final = (
    "DELETE FROM people WHERE id = $1",
    f"UPDATE chat_messages SET text = '', sealed = NULL WHERE sender_id = $1 AND room_id IN ({_ROOMS})",
    f"UPDATE deliveries SET {WITHDRAW.format(why='erased')} WHERE person_id = $1 AND status = 'queued'",
    "UPDATE deliveries SET subject = NULL WHERE person_id = $1 AND subject IS NOT NULL",
    "UPDATE deliveries SET invited = NULL, recipient = NULL WHERE person_id = $1 AND (invited IS NOT NULL OR recipient IS NOT NULL)",
    "DELETE FROM calendar_feeds WHERE person_id = $1",
    "DELETE FROM offers WHERE member_id = $1",
    "DELETE FROM contact_changes WHERE person_id = $1",
    "DELETE FROM erasure_requests WHERE person_id = $1",
    "DELETE FROM told_before WHERE person_id = $1",
    "UPDATE revocations SET reason = '', sealed = NULL WHERE person_id = $1",
)
_NOTE: Final = """
INSERT INTO erasures (person_id, erased_at, reason, requested_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (person_id) DO UPDATE SET erased_at = excluded.erased_at, reason = excluded.reason,
    requested_by = excluded.requested_by, times = erasures.times + 1
RETURNING times
"""


async def singles(queries: Queries, person_id: str) -> dict[str, Any]:
    """What a person has at most one of, by name. None if there is none."""
    held: dict[str, Any] = {}
    for name, statement in _ONES.items():
        row = await queries.fetch_one(statement, person_id)
        held[name] = None if row is None else dict(row)
    held["erased_at"] = await queries.fetch_value("SELECT erased_at FROM erasures WHERE person_id = $1", person_id)
    return held


async def pages(
    database: Database, person_id: str, name: str, *, at_once: int = AT_ONCE
) -> AsyncIterator[list[dict[str, Any]]]:
    """One of LISTS, page by page. No connection is held between pages, however slowly they are read."""
    last: Any = None
    while True:
        async with database.reading() as queries:
            rows = await queries.fetch(_PAGES[name], person_id, last, at_once)
            items = (
                [one._asdict() for one in await chat.opened(queries, rows)]
                if name == "messages"
                else [*map(dict, rows)]
            )
        if items:
            yield items
        if len(rows) < at_once:
            return
        last = rows[-1][0]


async def erase(unit: UnitOfWork, person_id: str, now: datetime, reason: str, requested_by: str) -> int:
    """Erases contact details, what the person wrote with its key, subjects, addresses and stored answers. Queued
    messages are not sent. Returns how often the person has been erased.
    """
    await unit.personal_data.erase(unit, [person_id])
    for statement in _ERASURE:
        await unit.execute(statement, person_id)
    await erase_remarks(unit, [person_id])
    times: int = await unit.fetch_value(_NOTE, person_id, now, reason, requested_by)
    return times
