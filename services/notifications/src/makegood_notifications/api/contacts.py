"""A person's contact details."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, not_found
from makegood_chassis.http.rights import Access, operation
from starlette.requests import Request

from makegood_notifications.api.models import ChannelsView, ConfirmationRequest, ContactRequest, ContactView, PersonId
from makegood_notifications.api.pace import not_too_often
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.allowances import ADDRESS_CHANGE
from makegood_notifications.domain.contacts import hash_of, same_address
from makegood_notifications.handlers.account import ask_to_confirm
from makegood_notifications.store import contact_changes, contacts, remarks

router = APIRouter(tags=["contact"])


@router.put(
    "/v1/people/{person_id}/contact",
    response_model=ContactView,
    summary="Say how I am reached",
    responses=problems("too-soon"),
)
async def save_contact(
    person_id: PersonId,
    body: ContactRequest,
    access: Annotated[Access, Depends(operation("contact.write"))],
    mutation: Annotated[Mutation, Depends(mutation())],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
) -> Response:
    """Replaces the whole contact. Messages go to what stands here at the moment they are sent.

    A person's first address counts at once. A changed one is `pending_email` until its owner follows the link that is sent
    there; the old one is told, and used meanwhile. Another change, also back to the old address, takes this one's place. An
    address can be changed five times a day.
    """
    role = access.require("person", person_id=person_id)
    dependencies: Dependencies = request.app.state.service.dependencies
    async with mutation.unit() as unit:
        before = await contacts.find(unit, person_id, lock=True)
        mutation.expect_version(before.version if before else 0)
        waits = before is not None and not same_address(before.email, body.email)
        contact = contacts.Contact(
            name=body.name,
            email=before.email if waits and before else body.email,
            phone=body.phone,
            time_zone=body.time_zone,
            locale=body.locale,
            by_email=body.channels.email,
            by_whatsapp=body.channels.whatsapp,
            by_chat=body.channels.chat,
        )
        saved = await contacts.save(unit, person_id, contact, unit.now)
        if before is None:
            await remarks.publish_keys(unit, [person_id])
        await log.record(unit, access, role, person_id)
        pending = await contact_changes.pending(unit, person_id, unit.now)
        wanted = body.email if waits else body.pending_email if body.pending_email == pending else None
        if wanted is None:
            await contact_changes.drop(unit, person_id)
        elif wanted != pending:
            await not_too_often(unit, ADDRESS_CHANGE, person_id)
            await ask_to_confirm(unit, dependencies, person_id, saved, wanted, mutation.cause)
        view = _view(saved, wanted)
        return mutation.answer(200, view, version=saved.version, personal_of=person_id)


@router.post(
    "/v1/people/{person_id}/contact/confirmations",
    response_model=ContactView,
    summary="Confirm my new address",
    responses=problems("not-found", "confirmation-invalid"),
)
async def confirm_address(
    person_id: PersonId,
    body: ConfirmationRequest,
    access: Annotated[Access, Depends(operation("contact.write"))],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    log: Annotated[AccessLog, Depends(access_log)],
) -> Response:
    """With the secret out of the link, once. Only the person themself: who merely reads the mail cannot."""
    role = access.require("person", person_id=person_id)
    async with mutation.unit() as unit:
        contact = await contacts.find(unit, person_id, lock=True)
        if contact is None:
            raise not_found("contact")
        email = await contact_changes.confirm(unit, person_id, hash_of(body.token))
        if email is None:
            raise Problem("confirmation-invalid")
        saved = await contacts.save(unit, person_id, replace(contact, email=email), unit.now)
        await log.record(unit, access, role, person_id)
        return mutation.answer(200, _view(saved, None), version=saved.version, personal_of=person_id)


@router.get("/v1/people/{person_id}/contact", summary="How I am reached")
async def read_contact(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("contact.read"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    response: Response,
) -> ContactView:
    """The person's own contact; nobody else reads it."""
    role = access.require("person", person_id=person_id)
    async with request.app.state.service.database.reading() as queries:
        contact = await contacts.find(queries, person_id)
        if contact is not None:
            pending = await contact_changes.pending(queries, person_id, request.app.state.service.clock.now())
            await log.record(queries, access, role, person_id)
    if contact is None:
        raise not_found("contact")
    response.headers["ETag"] = f'"{contact.version}"'
    return _view(contact, pending)


def _view(contact: contacts.Contact, pending: str | None) -> ContactView:
    channels = ChannelsView(email=contact.by_email, whatsapp=contact.by_whatsapp, chat=contact.by_chat)
    return ContactView(
        name=contact.name,
        email=contact.email,
        phone=contact.phone,
        time_zone=contact.time_zone,
        locale=contact.locale,
        channels=channels,
        pending_email=pending,
    )
