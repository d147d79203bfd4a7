"""The chat of rooms (ROOM-4). People's messages are encrypted with their author's key, the platform's are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.personal_data.sealing import Place

from makegood_notifications.domain.venues import named_in, with_names
from makegood_notifications.store import venues
from makegood_notifications.store.read_models import Room

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
COLUMNS: Final = "id::text, room_id::text, kind, template, text, sender_id, sent_at, sealed"
"""What `opened` reads: the fields of `Message`, and the encrypted text."""
_CHAT: Final = f"""
SELECT page.*, rooms.member_id, rooms.provider_id, rooms.status
FROM rooms LEFT JOIN LATERAL (
    SELECT {COLUMNS} FROM chat_messages
    WHERE room_id = rooms.id AND chat_messages.id < $2
    ORDER BY chat_messages.id DESC LIMIT $3
) AS page ON true
WHERE rooms.id = $1 ORDER BY page.id COLLATE "C" DESC
"""  # noqa: S608 (constant columns)
_NEWEST: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Above every id."""
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


class Message(NamedTuple):
    """A chat message. `text` is empty if its author was erased."""

    id: str
    room_id: str
    kind: Literal["text", "system"]
    template: str | None
    text: str
    sender_id: str | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Chat(Room):
    """A room with a page of its chat, newest first. `opened` makes messages of the rows."""

    rows: Sequence[Row]


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


async def find_chat(queries: Queries, room_id: str, *, before: str | None, limit: int) -> Chat | None:
    """The room, if this service knows it, with its newest `limit` messages older than the message `before`."""
    rows = await queries.fetch(_CHAT, room_id, before or _NEWEST, limit)
    if not rows:
        return None
    member_id, provider_id, status = rows[0][-3:]
    return Chat(room_id, member_id, provider_id, status, rows if rows[0]["id"] is not None else ())


async def opened(queries: Queries, rows: Sequence[Row]) -> list[Message]:
    """The messages in rows of COLUMNS, with the names of venues that were not known when they were written."""
    named = await venues.find(
        queries, {one for row in rows if row["kind"] == "system" for one in named_in(row["text"])}
    )
    sealed = [(Place(_TABLE, row["id"], row["sender_id"] or ""), row["sealed"]) for row in rows if row["sealed"]]
    texts = iter(await queries.personal_data.open(queries, sealed))
    messages = []
    for id_, room_id, kind, template, clear, sender_id, sent_at, sealed_text, *_ in rows:
        text = next(texts) if sealed_text else None
        said = with_names(clear, named) if text is None else text
        messages.append(Message(id_, room_id, kind, template, said, sender_id, sent_at))
    return messages


async def seal_messages(unit: UnitOfWork, at_once: int) -> int:
    """Encrypts messages that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(Place(_TABLE, str(row["id"]), row["sender_id"]), row["text"]) for row in rows]
        await unit.execute(_SEAL, [row["id"] for row in rows], await unit.personal_data.seal(unit, texts))
    return len(rows)
