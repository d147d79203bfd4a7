"""The chat of rooms (ROOM-4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from makegood_chassis.database import Queries, Row

_POST = """
WITH message AS (
    INSERT INTO chat_messages (id, room_id, kind, text, sender_id, sent_at, template)
    VALUES ($1, $2, 'text', $3, $4, $5, $9)
), posted AS (
    UPDATE rooms SET posted = posted + 1 WHERE id = $2 RETURNING posted
), entry AS (
    INSERT INTO stream (member_id, provider_id, kind, data) VALUES ($6, $7, 'room.message', $8)
)
SELECT posted FROM posted
"""

_PAGE = """
SELECT id, room_id, kind, template, text, sender_id, sent_at FROM chat_messages
WHERE room_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""


async def post(
    queries: Queries,
    *,
    message_id: str,
    room_id: str,
    text: str,
    sender_id: str,
    sent_at: datetime,
    parties: tuple[str, str],
    entry: dict[str, Any],
    template: str | None = None,
) -> int:
    """A message of one party; both parties' streams tell of it. `parties` are (member, provider); `template` names a ready
    message. Answers how many people's messages the room has had with it: the room is locked, so that they keep their order."""
    posted: int = await queries.fetch_value(
        _POST, message_id, room_id, text, sender_id, sent_at, *parties, entry, template
    )
    return posted


async def messages(queries: Queries, room_id: str, *, before: str | None, limit: int) -> Sequence[Row]:
    """Newest first, `limit` at most, older than the message `before`."""
    return await queries.fetch(_PAGE, room_id, before, limit)
