"""The chat of rooms (ROOM-4). People's messages are encrypted with their author's key, the platform's are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.personal_data.sealing import Place

from makegood_notifications.domain.venues import named_in, with_names
from makegood_notifications.store import venues
from makegood_notifications.store.tables import chat_messages, names

_TABLE: Final = "chat_messages"
REMARK: Final = "cancellation-remark"
"""The template of a message that a party wrote when it cancelled."""
_POST: Final = """
WITH message AS (
    INSERT INTO chat_messages (id, room_id, kind, text, sealed, sender_id, sent_at, template)
    VALUES ($1, $2, 'text', '', $3, $4, $5, $9)
), posted AS (
    UPDATE rooms SET posted = posted + 1 WHERE id = $2 RETURNING posted
), entry AS (
    INSERT INTO stream (member_id, provider_id, kind, data) VALUES ($6, $7, 'room.message', $8)
)
SELECT posted FROM posted
"""
COLUMNS: Final = names(each for each in chat_messages.c if each is not chat_messages.c.event_id)
_PAGE: Final = f"""
SELECT {COLUMNS} FROM chat_messages
WHERE room_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""  # noqa: S608 (constant columns)
_IN_THE_CLEAR: Final = """
SELECT id, sender_id, text FROM chat_messages WHERE kind = 'text' AND text <> ''
ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_SEAL: Final = """
UPDATE chat_messages SET sealed = new.sealed, text = '' FROM unnest($1::uuid[], $2::bytea[]) AS new (id, sealed)
WHERE chat_messages.id = new.id
"""


_SHARE: Final = f"""
INSERT INTO {_TABLE} (id, room_id, kind, template, text, sealed, sender_id, sent_at)
VALUES ($1, $2, 'text', '{REMARK}', '', $3, $4, $5) ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message. `text` is empty if its author was erased."""

    id: str
    room_id: str
    kind: Literal["text", "system"]
    template: str | None
    text: str
    sender_id: str | None
    sent_at: datetime


async def share(unit: UnitOfWork, message_id: str, room_id: str, text: str, sender_id: str, sent_at: datetime) -> None:
    """Adds what a party wrote when it cancelled, as its own message. Repeats with the same id do nothing."""
    (sealed,) = await unit.personal_data.seal(unit, [(Place(_TABLE, message_id, sender_id), text)])
    await unit.execute(_SHARE, message_id, room_id, sealed, sender_id, sent_at)


async def post(unit: UnitOfWork, message: Message, sender: str, parties: tuple[str, str]) -> int:
    """A message from one party. Both parties' live streams tell of it. `parties` are (member, provider).

    Returns how many messages people have written in the room, this one included. The room is locked, so that they keep their
    order.
    """
    (sealed,) = await unit.personal_data.seal(unit, [(Place(_TABLE, message.id, sender), message.text)])
    entry = {"room_id": message.room_id, "message_id": message.id}
    posted: int = await unit.fetch_value(
        _POST, message.id, message.room_id, sealed, sender, message.sent_at, *parties, entry, message.template
    )
    return posted


async def messages(queries: Queries, room_id: str, *, before: str | None, limit: int) -> list[Message]:
    """The newest `limit` messages older than the message `before`, newest first."""
    return await opened(queries, await queries.fetch(_PAGE, room_id, before, limit))


async def opened(queries: Queries, rows: Sequence[Row]) -> list[Message]:
    """The messages in rows of COLUMNS, with the names of venues that were not known when they were written."""
    named = await venues.find(
        queries, {one for row in rows if row["kind"] == "system" for one in named_in(row["text"])}
    )
    places = [(Place(_TABLE, str(row["id"]), row["sender_id"] or ""), row["sealed"]) for row in rows]
    texts = await queries.personal_data.open(queries, places)
    return [
        Message(
            str(row["id"]), str(row["room_id"]), row["kind"], row["template"],
            with_names(row["text"], named) if text is None else text, row["sender_id"], row["sent_at"],
        )
        for row, text in zip(rows, texts, strict=True)
    ]  # fmt: skip


async def seal_messages(unit: UnitOfWork, at_once: int) -> int:
    """Encrypts messages that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(Place(_TABLE, str(row["id"]), row["sender_id"]), row["text"]) for row in rows]
        await unit.execute(_SEAL, [row["id"] for row in rows], await unit.personal_data.seal(unit, texts))
    return len(rows)
