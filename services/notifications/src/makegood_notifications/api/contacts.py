"""A person's contact details."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import MutationOf, UnversionedMutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation

from makegood_notifications.api.models import ChannelsView, ConfirmationRequest, ContactRequest, ContactView
from makegood_notifications.api.parameters import DependenciesOf, PersonId
from makegood_notifications.handlers import commands
from makegood_notifications.store import contact_changes, contacts

router = APIRouter(tags=["contact"])


@router.put(
    "/v1/people/{person_id}/contact",
    response_model=ContactView,
    summary="Save my contact details",
    responses=problems("too-soon"),
)
async def save_contact(
    person_id: PersonId,
    body: ContactRequest,
    access: Annotated[Access, Depends(operation("contact.write"))],
    mutation: MutationOf,
    log: Log,
    dependencies: DependenciesOf,
) -> Response:
    """Replaces the whole contact. Messages use the contact details at the moment they are sent.

    A person's first address is used at once. A changed address is `pending_email` until its owner follows the link that
    we send there. Until then the old address is used, and a warning goes to it. Another change replaces this one, even
    a change back to the old address. An address can be changed five times a day.
    """
    role = access.require("person", person_id=person_id)
    wanted = contacts.Contact(
        name=body.name,
        email=body.email,
        phone=body.phone,
        time_zone=body.time_zone,
        locale=body.locale,
        by_email=body.channels.email,
        by_whatsapp=body.channels.whatsapp,
        by_chat=body.channels.chat,
    )
    async with mutation.unit() as unit:
        contact, pending = await commands.save_contact(
            unit, dependencies, person_id, wanted, body.pending_email, mutation.expect_version
        )
        await log.record(unit, access, role, person_id)
        return mutation.answer(200, _view(contact, pending), version=contact.version, personal_of=person_id)


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
    mutation: UnversionedMutation,
    log: Log,
) -> Response:
    """Confirms a changed address with the secret from the link, which works once. Only the signed-in person can do
    this: being able to read the mail is not enough."""
    role = access.require("person", person_id=person_id)
    async with mutation.unit() as unit:
        confirmed = await commands.confirm_address(unit, person_id, body.token)
        await log.record(unit, access, role, person_id)
        return mutation.answer(200, _view(confirmed, None), version=confirmed.version, personal_of=person_id)


@router.get("/v1/people/{person_id}/contact", response_model=ContactView, summary="Read my contact details")
async def read_contact(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("contact.read"))],
    log: Log,
    dependencies: DependenciesOf,
) -> Response:
    """Reads the person's own contact details. Nobody else can read them."""
    role = access.require("person", person_id=person_id)
    async with dependencies.database.reading() as queries:
        contact = await contacts.find(queries, person_id)
        if contact is not None:
            pending = await contact_changes.pending(queries, person_id, dependencies.clock.now())
            await log.record(queries, access, role, person_id)
    if contact is None:
        raise not_found("contact")
    return answer(200, _view(contact, pending), version=contact.version)


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
