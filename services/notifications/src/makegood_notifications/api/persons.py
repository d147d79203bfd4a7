"""A person's data: all of it to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from makegood_chassis.database import Database
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service

from makegood_notifications.api.models import ExportView, PersonId
from makegood_notifications.store import personal_data

router = APIRouter(tags=["personal data"])

_encode = msgspec.json.Encoder().encode


@router.get(
    "/v1/people/{person_id}/export",
    response_class=StreamingResponse,
    responses={200: {"model": ExportView, "description": "All of it, sent as it is read."}},
    summary="Everything that is held about me",
)
async def export_personal_data(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.export"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
) -> StreamingResponse:
    """Contact, rooms, sessions, what I wrote, what I was sent, and who read it. The other services hold ids alone; what they
    hold about them is read from their own lists (sessions, ledger, invoices)."""
    role = access.require("person", person_id=person_id)
    service: Service = request.app.state.service
    async with service.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        held = await personal_data.singles(queries, person_id)
    first = {"person_id": person_id, "exported_at": service.clock.now(), **held}
    return StreamingResponse(_export(service.database, person_id, first), media_type="application/json")


async def _export(database: Database, person_id: str, first: dict[str, Any]) -> AsyncIterator[bytes]:
    """The JSON of an ExportView, list by list. One that breaks off is no JSON, so nobody takes it for the whole."""
    yield _encode(first)[:-1]
    for name in personal_data.LISTS:
        yield b",%b:[" % _encode(name)
        between = b""
        async for rows in personal_data.pages(database, person_id, name):
            yield between + _encode(rows)[1:-1]
            between = b","
        yield b"]"
    yield b"}"
