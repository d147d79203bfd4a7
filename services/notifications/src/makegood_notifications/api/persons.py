"""A person's data: all of it to read, and none of it any more."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.changes import Change, changes
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service
from makegood_contracts.events import PersonErased

from makegood_notifications.api.models import ExportView, PersonId
from makegood_notifications.store import people, persons

router = APIRouter(tags=["personal data"])


@router.get("/v1/people/{person_id}/export", summary="Everything that is held about me")
async def export(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.export"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
) -> ExportView:
    """Contact, rooms, sessions, what I wrote, what I was sent, and who read it. The other services hold ids alone; what they
    hold about them is read from their own lists (sessions, ledger, invoices)."""
    role = access.require("person", person_id=person_id)
    service: Service = request.app.state.service
    async with service.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        held = await persons.everything(queries, person_id)
    return ExportView(person_id=person_id, exported_at=service.clock.now(), **held)


@router.delete("/v1/people/{person_id}", status_code=204, summary="Erase my data")
async def erase(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.erase"))],
    change: Annotated[Change, Depends(changes())],
    log: Annotated[AccessLog, Depends(access_log)],
) -> Response:
    """Erases contact, the words that the person wrote, subjects of what they were sent and their calendar's address. What is
    queued for them is not sent. Sessions stay, with ids alone; other services erase remarks and notes. Cannot be undone."""
    role = access.require("person", person_id=person_id)
    async with change.unit() as unit:
        contact = await people.find(unit, person_id, lock=True)
        change.expect_version(contact.version if contact else 0)
        times = await persons.erase(unit, person_id, unit.now)
        await log.record(unit, access, role, person_id)
        unit.publish(PersonErased(person_id=person_id, erased_at=unit.now), sequence=times)
        return change.answer(204)
