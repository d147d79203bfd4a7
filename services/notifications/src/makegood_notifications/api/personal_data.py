"""A person's data: all of it to read, and its erasure, which can be withdrawn while it waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from makegood_chassis.database import Database
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.mutations import MutationOf, UnversionedMutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, invalid
from makegood_chassis.http.rights import Access, operation

from makegood_notifications.api.models import ErasureReason, ErasureView, ExportView
from makegood_notifications.api.parameters import DependenciesOf, PersonId
from makegood_notifications.handlers import commands
from makegood_notifications.store import erasures, personal_data

router = APIRouter(tags=["personal data"])

_encode = msgspec.json.Encoder().encode

LAW: Final = "law_requires_it"
"""The reason for which support may erase without the wait."""


@router.delete(
    "/v1/people/{person_id}",
    status_code=202,
    summary="Erase my data",
    response_model=ErasureView,
    responses={204: {"description": "Erased at once (`now=true`)."}, **problems("validation")},
)
async def request_erasure(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.erase"))],
    mutation: MutationOf,
    log: Log,
    dependencies: DependenciesOf,
    reason: Annotated[ErasureReason, Query(description="Why the data is erased. It is kept with the person's id.")],
    now: Annotated[
        bool,
        Query(description="Erase without the wait. Only support may do this, and only with `reason=law_requires_it`."),
    ] = False,
) -> Response:
    """Erases, in every service, the person's contact details, what they wrote, the subjects of what they were sent, and
    their calendar's address. Their key is destroyed, so that copies and backups of what they wrote cannot be read.
    Messages queued for them are not sent. Sessions, ledger and access log stay, with ids only.

    Everything in the future ends: a provider's schedule is withdrawn, rooms close, sessions are cancelled without loss
    of a credit, places on waitlists end, and the other party is told.

    The erasure happens after seven days (setting `ERASURE_WAIT_DAYS`). The person is told, and it can be withdrawn until
    then. Afterwards it cannot be undone. If an erasure is already pending, it stays as it is.
    """
    role = access.require("person", person_id=person_id)
    by = access.caller.subject
    if now and role != "support":
        raise Problem("forbidden", "Only support may erase without the wait, and only if the law requires it.")
    if now and reason != LAW:
        raise invalid("#/now", f"`now=true` is only allowed with `reason={LAW}`.", where="query")
    async with mutation.unit() as unit:
        await log.record(
            unit, access, role, person_id
        )  # before the erasure, which also removes the remark of the reason
        if now:
            await commands.erase_now(unit, person_id, reason, by, mutation.expect_version)
            return mutation.answer(204)
        await commands.request_erasure(unit, dependencies, person_id, reason, by, mutation.expect_version)
        return mutation.answer(202, _view(person_id, await erasures.state(unit, person_id)))


@router.get("/v1/people/{person_id}/erasure", summary="Read the state of my erasure")
async def read_erasure(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("erasure.read"))],
    log: Log,
    dependencies: DependenciesOf,
) -> ErasureView:
    """Reads the pending erasure, or else the last one that was carried out."""
    role = access.require("person", person_id=person_id)
    async with dependencies.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        return _view(person_id, await erasures.state(queries, person_id))


@router.delete(
    "/v1/people/{person_id}/erasure",
    status_code=204,
    summary="Withdraw my erasure",
)
async def withdraw_erasure(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.erase"))],
    mutation: UnversionedMutation,
    log: Log,
    dependencies: DependenciesOf,
) -> Response:
    """Withdraws a pending erasure and tells the person by e-mail. Without one, nothing happens. The person may withdraw any
    erasure, support only one that support requested."""
    role = access.require("person", person_id=person_id)
    async with mutation.unit() as unit:
        await commands.withdraw_erasure(unit, dependencies, person_id, own=role != "support")
        await log.record(unit, access, role, person_id)
        return mutation.answer(204)


@router.get(
    "/v1/people/{person_id}/export",
    response_class=StreamingResponse,
    responses={200: {"model": ExportView, "description": "All data. It is sent while it is read."}},
    summary="Export my data",
)
async def export_personal_data(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.export"))],
    log: Log,
    dependencies: DependenciesOf,
) -> StreamingResponse:
    """Exports your contact details, rooms and sessions, what you wrote, what you were sent, and who read it. The other
    services store only ids. Read what they store from their own lists (sessions, ledger, invoices).
    """
    role = access.require("person", person_id=person_id)
    async with dependencies.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        held = await personal_data.singles(queries, person_id)
    first = {"person_id": person_id, "exported_at": dependencies.clock.now(), **held}
    return StreamingResponse(_export(dependencies.database, person_id, first), media_type="application/json")


async def _export(database: Database, person_id: str, first: dict[str, Any]) -> AsyncIterator[bytes]:
    """The JSON of an ExportView, list by list. If it breaks off, it is not valid JSON, so nobody mistakes it for the
    whole.
    """
    yield _encode(first)[:-1]
    for name in personal_data.LISTS:
        yield b",%b:[" % _encode(name)
        between = b""
        async for rows in personal_data.pages(database, person_id, name):
            yield between + _encode(rows)[1:-1]
            between = b","
        yield b"]"
    yield b"}"


def _view(person_id: str, erasure: erasures.Erasure) -> ErasureView:
    return ErasureView.model_validate({"person_id": person_id, **asdict(erasure)})
