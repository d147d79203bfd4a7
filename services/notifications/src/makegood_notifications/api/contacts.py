"""A person's contact details."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.changes import Change, changes
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from starlette.requests import Request

from makegood_notifications.api.models import ChannelsView, ContactRequest, ContactView, PersonId
from makegood_notifications.store import people

router = APIRouter(tags=["contact"])


@router.put("/v1/people/{person_id}/contact", response_model=ContactView, summary="Say how I am reached")
async def put_contact(
    person_id: PersonId,
    body: ContactRequest,
    access: Annotated[Access, Depends(operation("contact.write"))],
    change: Annotated[Change, Depends(changes())],
    log: Annotated[AccessLog, Depends(access_log)],
) -> Response:
    """Replaces the whole contact. Messages go to what stands here at the moment they are sent."""
    role = access.require("person", person_id=person_id)
    async with change.unit() as unit:
        before = await people.find(unit, person_id, lock=True)
        change.expect_version(before.version if before else 0)
        contact = people.Contact(
            name=body.name,
            email=body.email,
            phone=body.phone,
            time_zone=body.time_zone,
            locale=body.locale,
            by_email=body.channels.email,
            by_whatsapp=body.channels.whatsapp,
            by_chat=body.channels.chat,
        )
        saved = await people.save(unit, person_id, contact, unit.now)
        await log.record(unit, access, role, person_id)
        return change.answer(200, _view(saved), version=saved.version, personal_of=person_id)


@router.get("/v1/people/{person_id}/contact", summary="How I am reached")
async def get_contact(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("contact.read"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    response: Response,
) -> ContactView:
    """The person's own contact; nobody else reads it."""
    role = access.require("person", person_id=person_id)
    async with request.app.state.service.database.reading() as queries:
        contact = await people.find(queries, person_id)
        if contact is not None:
            await log.record(queries, access, role, person_id)
    if contact is None:
        raise not_found("contact")
    response.headers["ETag"] = f'"{contact.version}"'
    return _view(contact)


def _view(contact: people.Contact) -> ContactView:
    channels = ChannelsView(email=contact.by_email, whatsapp=contact.by_whatsapp, chat=contact.by_chat)
    return ContactView(
        name=contact.name,
        email=contact.email,
        phone=contact.phone,
        time_zone=contact.time_zone,
        locale=contact.locale,
        channels=channels,
    )
