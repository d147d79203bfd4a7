"""Everything that is held about a person: read whole, and erased whole."""

# ruff: noqa: S608 (every part of a statement is a constant)

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from makegood_chassis.database import Queries, UnitOfWork

from makegood_notifications.store.deliveries import WITHDRAW

_ROOMS: Final = "SELECT id FROM rooms WHERE member_id = $1 UNION ALL SELECT id FROM rooms WHERE provider_id = $1"

_LISTS: Final = {
    "rooms": f"SELECT id, member_id, provider_id, status FROM rooms WHERE id IN ({_ROOMS}) ORDER BY id",
    "sessions": f"""
        SELECT id, room_id, member_id, provider_id, status, starts_at, ends_at, length_minutes, modality, time_zone, venue_id
        FROM sessions WHERE room_id IN ({_ROOMS}) ORDER BY starts_at, id""",
    "messages": f"""
        SELECT id, room_id, kind, template, text, sender_id, sent_at FROM chat_messages
        WHERE room_id IN ({_ROOMS}) AND (sender_id = $1 OR kind = 'system') ORDER BY id""",
    "deliveries": """
        SELECT id, channel, template, subject, status, reason, session_id, sent_at FROM deliveries
        WHERE person_id = $1 ORDER BY id""",
    "enrolments": """
        SELECT id, plan_kind, starts_on, ends_on, time_zone, lengths, psychiatry_lengths, reminder_channels
        FROM enrolments WHERE member_id = $1 ORDER BY starts_on, id""",
    "offers": "SELECT entry_id, starts_at, lapses_at FROM offers WHERE member_id = $1 ORDER BY starts_at",
    "accesses": "SELECT at, caller, role, operation, entity, reason FROM access_rows WHERE person_id = $1 ORDER BY id",
}
_ONES: Final = {
    "contact": """
        SELECT name, email, phone, time_zone, locale, by_email, by_whatsapp, by_chat, updated_at FROM people WHERE id = $1""",
    "calendar_feed": "SELECT made_at FROM calendar_feeds WHERE person_id = $1",
}

_ERASURE: Final = (
    "DELETE FROM people WHERE id = $1",
    f"UPDATE chat_messages SET text = '' WHERE sender_id = $1 AND room_id IN ({_ROOMS})",
    f"UPDATE deliveries SET {WITHDRAW.format(why='erased')} WHERE person_id = $1 AND status = 'queued'",
    "UPDATE deliveries SET subject = NULL WHERE person_id = $1 AND subject IS NOT NULL",
    "DELETE FROM calendar_feeds WHERE person_id = $1",
    "DELETE FROM offers WHERE member_id = $1",
    # Answers that were kept for repeated requests hold what was written and said; that of this very request comes later.
    "DELETE FROM idempotency_keys WHERE caller = $1 AND status IS NOT NULL",
)
_NOTE: Final = """
INSERT INTO erasures (person_id, erased_at) VALUES ($1, $2)
ON CONFLICT (person_id) DO UPDATE SET erased_at = excluded.erased_at, times = erasures.times + 1
RETURNING times
"""


async def everything(queries: Queries, person_id: str) -> dict[str, Any]:
    """All of it, as lists and single rows by their names."""
    held: dict[str, Any] = {}
    for name, statement in _LISTS.items():
        held[name] = [_plain(row) for row in await queries.fetch(statement, person_id)]
    for name, statement in _ONES.items():
        row = await queries.fetch_one(statement, person_id)
        held[name] = None if row is None else _plain(row)
    held["erased_at"] = await queries.fetch_value("SELECT erased_at FROM erasures WHERE person_id = $1", person_id)
    return held


def _plain(row: Any) -> dict[str, Any]:
    return {
        name: str(value) if name in ("id", "room_id", "session_id") and value else value for name, value in row.items()
    }


async def erase(unit: UnitOfWork, person_id: str, now: datetime) -> int:
    """Erases details, words, subjects, addresses and kept answers; queued messages are not sent. How often it was done."""
    for statement in _ERASURE:
        await unit.execute(statement, person_id)
    times: int = await unit.fetch_value(_NOTE, person_id, now)
    return times
