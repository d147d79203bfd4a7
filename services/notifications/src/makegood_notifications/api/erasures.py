"""Erasing a person: with a reason, after a wait in which it can be taken back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, invalid
from makegood_chassis.http.rights import Access, operation

from makegood_notifications.api.models import ErasureReason, ErasureView, PersonId
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.notices import Details
from makegood_notifications.handlers.account import (
    ERASURE,
    ERASURE_REQUESTED,
    ERASURE_TAKEN_BACK,
    erase,
    tell_of_erasure,
)
from makegood_notifications.store import contacts, erasures

router = APIRouter(tags=["personal data"])

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
    mutation: Annotated[Mutation, Depends(mutation())],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    reason: Annotated[ErasureReason, Query(description="Why; kept with the person's id.")],
    now: Annotated[
        bool, Query(description="Support alone, and only with `reason=law_requires_it`: without the wait.")
    ] = False,
) -> Response:
    """Erases contact, the words that the person wrote, subjects of what they were sent and their calendar's address, in every
    service; their key is destroyed, so that copies and backups of their words can be read by nobody. What is queued for them is
    not sent. Sessions, ledger and access log stay, with ids alone.

    What the person had ahead ends: a provider's schedule is withdrawn, rooms close, sessions ahead are cancelled without loss,
    places on waitlists end, and the other party is told.

    It waits for seven days (the setting `ERASURE_WAIT_DAYS`), in which the person is told and it can be taken back; afterwards
    it cannot be undone. One that waits already stays as it is.
    """
    role = access.require("person", person_id=person_id)
    dependencies: Dependencies = request.app.state.service.dependencies
    by = access.caller.subject
    if now and role != "support":
        raise Problem("forbidden", "Only support erases without the wait, where the law requires it.")
    if now and reason != LAW:
        raise invalid("#/now", f"Without the wait only with `reason={LAW}`.", where="query")
    async with mutation.unit() as unit:
        contact = await contacts.find(unit, person_id, lock=True)
        mutation.expect_version(contact.version if contact else 0)
        await log.record(unit, access, role, person_id)
        if now:
            await erase(unit, person_id, reason, by)
            unit.set_deadline(ERASURE, person_id, None)
            return mutation.answer(204)
        due_at = unit.now + dependencies.erasure_waits
        if await erasures.request(unit, person_id, reason, by, due_at):
            unit.set_deadline(ERASURE, person_id, due_at)
            more = Details(erase_at=due_at)
            await tell_of_erasure(unit, dependencies, person_id, contact, ERASURE_REQUESTED, more, mutation.cause)
        return mutation.answer(202, _view(person_id, await erasures.state(unit, person_id)))


@router.get("/v1/people/{person_id}/erasure", summary="Whether my data is being erased")
async def read_erasure(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("erasure.read"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
) -> ErasureView:
    """The erasure that waits, or the last that was done, or none."""
    role = access.require("person", person_id=person_id)
    async with request.app.state.service.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        return _view(person_id, await erasures.state(queries, person_id))


@router.delete(
    "/v1/people/{person_id}/erasure",
    status_code=204,
    summary="Keep my data after all",
)
async def withdraw_erasure(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.erase"))],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
) -> Response:
    """Takes back an erasure that waits, and the person is told by e-mail; without one there is nothing to do. The person takes
    back any, support only one that support asked for."""
    role = access.require("person", person_id=person_id)
    dependencies: Dependencies = request.app.state.service.dependencies
    async with mutation.unit() as unit:
        contact = await contacts.find(unit, person_id, lock=True)
        taken_back = await erasures.take_back(unit, person_id, own=role != "support")
        if taken_back:
            unit.set_deadline(ERASURE, person_id, None)
            await tell_of_erasure(unit, dependencies, person_id, contact, ERASURE_TAKEN_BACK, Details(), mutation.cause)
        elif (await erasures.state(unit, person_id)).state == "pending":
            raise Problem("forbidden", "The person asked for this erasure: only they can take it back.")
        await log.record(unit, access, role, person_id)
        return mutation.answer(204)


def _view(person_id: str, erasure: erasures.Erasure) -> ErasureView:
    return ErasureView.model_validate({"person_id": person_id, **asdict(erasure)})
