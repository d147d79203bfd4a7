"""The chat of a room (ROOM-4)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.mutations import UnversionedMutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, page
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.http.structs import answer_page, row_struct_of

from makegood_notifications.api.lookup import chat_of, enrolments_of, room_of
from makegood_notifications.api.models import MessageRequest, MessageView, TimeRequest
from makegood_notifications.api.parameters import DependenciesOf, id_before
from makegood_notifications.handlers import commands
from makegood_notifications.store import chat

router = APIRouter(tags=["chat"])

_Message: Final = row_struct_of(MessageView)


@router.get("/v1/rooms/{room_id}/messages", summary="Read the chat", response_model=Page[MessageView])
async def list_messages(
    room_id: str,
    access: Annotated[Access, Depends(operation("message.read"))],
    log: Log,
    dependencies: DependenciesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists what the two parties wrote and what the platform told them, newest first."""
    room, role = await chat_of(dependencies, room_id, access, before=id_before(cursor), limit=limit + 1)
    async with dependencies.database.reading() as queries:
        await log.record(queries, access, role, room.member_id, room.provider_id, entity=f"room:{room.id}")
        messages = await chat.opened(queries, room.rows)
    items, following = page(messages, limit, lambda message: _Message(*message), lambda message: (message.id,))
    return answer_page(items, following)


@router.post(
    "/v1/rooms/{room_id}/messages", status_code=201, response_model=MessageView, summary="Write to the other party"
)
async def post_message(
    room_id: str,
    body: MessageRequest,
    access: Annotated[Access, Depends(operation("message.write"))],
    log: Log,
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Sends a message to the other party. A closed room can be read, but no messages can be sent in it."""
    room, role = await room_of(dependencies, room_id, access, to_write=True)
    async with mutation.unit() as unit:
        await log.record(unit, access, role, room.member_id, room.provider_id, entity=f"room:{room.id}")
        posted = await commands.post_message(unit, dependencies, room, access.caller.subject, body.text)
        return mutation.answer(201, MessageView.model_validate(posted), personal_of=access.caller.subject)


@router.post(
    "/v1/rooms/{room_id}/time-request",
    status_code=201,
    response_model=MessageView,
    summary="Say that no time fits",
    responses=problems(
        "room-closed",
        "coverage-ended",
        "plan-excludes-live-sessions",
        "length-not-in-plan",
        "too-soon",
        "idempotency-in-flight",
    ),
)
async def request_time(
    room_id: str,
    body: TimeRequest,
    access: Annotated[Access, Depends(operation("time.request"))],
    log: Log,
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Sends the provider the ready message "I can't find a time that works for me", in the member's language, with the lengths
    that the plan includes, or the one in `length_minutes` (AVAIL-5). At most three times an hour in a room."""
    room, role = await room_of(dependencies, room_id, access, to_write=True)
    enrolments = await enrolments_of(dependencies, room.member_id)
    async with mutation.unit() as unit:
        await log.record(unit, access, role, room.member_id, room.provider_id, entity=f"room:{room.id}")
        posted = await commands.request_time(
            unit, dependencies, room, enrolments, body.length_minutes, access.caller.subject
        )
        return mutation.answer(201, MessageView.model_validate(posted), personal_of=access.caller.subject)
