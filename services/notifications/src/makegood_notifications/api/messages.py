"""The chat of a room (ROOM-4)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from makegood_chassis.database import UnitOfWork
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service
from makegood_contracts.events import MessagePosted
from makegood_contracts.ids import new_id

from makegood_notifications.api.lookup import enrolments_of, room_of
from makegood_notifications.api.models import MessageRequest, MessageView, TimeRequest
from makegood_notifications.api.pace import not_too_often
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.allowances import TIME_REQUEST
from makegood_notifications.domain.plans import ready_lengths
from makegood_notifications.store import chat, contacts, plans
from makegood_notifications.store.read_models import Room

router = APIRouter(tags=["chat"])


@router.get("/v1/rooms/{room_id}/messages", summary="Read the chat")
async def list_messages(
    room_id: str,
    access: Annotated[Access, Depends(operation("message.read"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageView]:
    """What the two parties wrote and what the platform told them, newest first."""
    before = decode_cursor(cursor, Id)
    service: Service[Dependencies] = request.app.state.service
    room, role = await room_of(service, room_id, access)
    async with service.database.reading() as queries:
        await log.record(queries, access, role, room.member_id, room.provider_id, entity=f"room:{room.id}")
        rows = await chat.messages(queries, room_id, before=before[0] if before else None, limit=limit + 1)
    items, following = page(rows, limit, MessageView.model_validate, lambda message: (message.id,))
    return Page(items=items, next_cursor=following)


@router.post(
    "/v1/rooms/{room_id}/messages", status_code=201, response_model=MessageView, summary="Write to the other party"
)
async def post_message(
    room_id: str,
    body: MessageRequest,
    access: Annotated[Access, Depends(operation("message.write"))],
    log: Annotated[AccessLog, Depends(access_log)],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    request: Request,
) -> Response:
    """A message of one party to the other. A closed room can be read, not written."""
    service: Service[Dependencies] = request.app.state.service
    room, role = await room_of(service, room_id, access, to_write=True)
    async with mutation.unit() as unit:
        await log.record(unit, access, role, room.member_id, room.provider_id, entity=f"room:{room.id}")
        view = await write(service, unit, room, access.caller.subject, body.text)
        return mutation.answer(201, view, personal_of=access.caller.subject)


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
    log: Annotated[AccessLog, Depends(access_log)],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    request: Request,
) -> Response:
    """AVAIL-5: the ready message "I can't find a time that works for me" to the provider, in the member's language, with the
    length that the plan includes. `length_minutes`: one of them. At most three times an hour in a room."""
    service: Service[Dependencies] = request.app.state.service
    dependencies: Dependencies = service.dependencies
    room, role = await room_of(service, room_id, access, to_write=True)
    enrolments = await enrolments_of(service, room.member_id)
    async with mutation.unit() as unit:
        specialty = await plans.specialty_of(unit, room.provider_id)
        lengths = ready_lengths(body.length_minutes, enrolments, specialty, unit.now)
        if isinstance(lengths, str):
            raise Problem(lengths)
        await not_too_often(unit, TIME_REQUEST, room.id)
        locale = await contacts.locale(unit, room.member_id)
        text = dependencies.wording.time_request(lengths, locale)
        await log.record(unit, access, role, room.member_id, room.provider_id, entity=f"room:{room.id}")
        view = await write(service, unit, room, access.caller.subject, text, template="time-request")
        return mutation.answer(201, view, personal_of=access.caller.subject)


async def write(
    service: Service[Dependencies], unit: UnitOfWork, room: Room, sender: str, text: str, template: str | None = None
) -> MessageView:
    """A message of one party in the room; booking hears that they are there (ROOM-2)."""
    if room.status == "closed":
        raise Problem("room-closed", "The room is closed; its chat can only be read.")
    message_id = new_id()
    posted = await chat.post(
        unit,
        message_id=message_id,
        room_id=room.id,
        text=text,
        sender_id=sender,
        sent_at=unit.now,
        parties=(room.member_id, room.provider_id),
        entry={"room_id": room.id, "message_id": message_id},
        template=template,
    )
    said = MessagePosted(message_id=message_id, room_id=room.id, sender_id=sender, sent_at=unit.now)
    unit.publish(said, sequence=posted)
    woken = {f"stream:{person}": True for person in (room.member_id, room.provider_id)}
    unit.after_commit(lambda: service.signals.send(woken))
    return MessageView(
        id=message_id, room_id=room.id, kind="text", template=template, text=text, sender_id=sender, sent_at=unit.now
    )
