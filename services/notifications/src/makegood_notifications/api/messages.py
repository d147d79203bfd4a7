"""The chat of a room (ROOM-4)."""

from __future__ import annotations

import time
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from makegood_chassis.http.changes import Change, changes
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service
from makegood_contracts.ids import is_id, new_id

from makegood_notifications.api.models import MessageRequest, MessageView, message_view
from makegood_notifications.store import chat, read_models
from makegood_notifications.store.read_models import Room

router = APIRouter(tags=["chat"])

NEWS_LAG: Final = 2.0
"""Seconds that a request waits for the news of a room that was opened just now."""
JUST_NOW: Final = 30.0
"""Seconds for which a room counts as opened just now."""


@router.get("/v1/rooms/{room_id}/messages", summary="Read the chat")
async def list_messages(
    room_id: str,
    access: Annotated[Access, Depends(operation("message.read"))],
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageView]:
    """What the two parties wrote and what the platform told them, newest first."""
    before = decode_cursor(cursor, str)
    if before is not None and not (isinstance(before[0], str) and is_id(before[0])):
        raise invalid("#/cursor", "Send `next_cursor` as it came, on the same list.", where="query")
    service: Service = request.app.state.service
    await _room(service, room_id, access)
    async with service.database.reading() as queries:
        rows = await chat.messages(queries, room_id, before=before[0] if before else None, limit=limit + 1)
    items, following = page(rows, limit, lambda row: message_view(tuple(row)), lambda row: (str(row["id"]),))
    return Page(items=items, next_cursor=following)


@router.post(
    "/v1/rooms/{room_id}/messages", status_code=201, response_model=MessageView, summary="Write to the other party"
)
async def post_message(
    room_id: str,
    body: MessageRequest,
    access: Annotated[Access, Depends(operation("message.write"))],
    change: Annotated[Change, Depends(changes(if_match="none"))],
    request: Request,
) -> Response:
    """A message of one party to the other. A closed room can be read, not written."""
    service: Service = request.app.state.service
    room = await _room(service, room_id, access)
    sender = access.caller.subject
    async with change.unit() as unit:
        if room.status == "closed":
            raise Problem("room-closed", "The room is closed; its chat can only be read.")
        message_id = new_id()
        await chat.post(
            unit,
            message_id=message_id,
            room_id=room.id,
            text=body.text,
            sender_id=sender,
            sent_at=unit.now,
            parties=(room.member_id, room.provider_id),
            entry={"room_id": room.id, "message_id": message_id},
        )
        woken = {f"stream:{person}": True for person in (room.member_id, room.provider_id)}
        unit.after_commit(lambda: service.signals.send(woken))
        row = (message_id, room.id, "text", None, body.text, sender, unit.now)
        return change.answer(201, message_view(row))


async def _room(service: Service, room_id: str, access: Access) -> Room:
    """The room, if the caller is one of its parties. The news of a new room may still be on its way: it is waited for."""
    if not is_id(room_id):
        raise not_found("room")
    room_id = room_id.lower()

    async def look() -> Room | None:
        async with service.database.reading() as queries:
            return await read_models.find_room(queries, room_id)

    room = await look()
    if room is None and _made_just_now(UUID(room_id)):
        async with service.signals.waiting(f"room:{room_id}") as waiter:
            await waiter.result(NEWS_LAG, look, every=0.05)
        room = await look()
    if room is None:
        raise not_found("room")
    access.require("room", member_id=room.member_id, provider_id=room.provider_id)
    return room


def _made_just_now(identifier: UUID) -> bool:
    """Whether the moment in the UUIDv7 is near (real time, and clocks of machines differ a little)."""
    return identifier.version == 7 and abs((identifier.int >> 80) / 1000 - time.time()) < JUST_NOW
