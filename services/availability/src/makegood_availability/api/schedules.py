"""Schedules and time off: when providers work (AVAIL-1)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import MutationOf
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.ids import new_id

from makegood_availability.api.models import ScheduleBody, ScheduleView, TimeOffBody, TimeOffView
from makegood_availability.api.parameters import DependenciesOf, ProviderId
from makegood_availability.handlers import commands
from makegood_availability.store import schedules
from makegood_availability.store.schedules import TimeOff

router = APIRouter(tags=["schedules"])


@router.put(
    "/v1/providers/{provider_id}/schedule",
    response_model=ScheduleView,
    responses={
        201: {"model": ScheduleView, "description": "The provider's first schedule"},
        **problems("validation", "not-found"),
    },
)
async def publish_schedule(
    provider_id: ProviderId,
    body: ScheduleBody,
    access: Annotated[Access, Depends(operation("schedule.publish"))],
    mutation: MutationOf,
) -> Response:
    """Replaces the provider's schedule. Booked sessions stay as they are."""
    access.require("provider", provider_id=provider_id)
    published = body.model_dump(mode="json")
    async with mutation.unit() as unit:
        version, is_first = await commands.publish_schedule(unit, provider_id, published, mutation.expect_version)
        return mutation.answer(201 if is_first else 200, _view(provider_id, version, published), version=version)


@router.get(
    "/v1/providers/{provider_id}/schedule", response_model=ScheduleView, responses=problems("validation", "not-found")
)
async def read_schedule(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("schedule.read"))],
    dependencies: DependenciesOf,
) -> Response:
    """Reads the provider's current schedule."""
    access.require("provider", provider_id=provider_id)
    async with dependencies.database.reading() as queries:
        found = await schedules.read(queries, provider_id)
    if found is None or found.body is None:
        raise not_found("schedule")
    return answer(200, _view(provider_id, found.version, found.body), version=found.version)


@router.post(
    "/v1/providers/{provider_id}/time-off",
    status_code=201,
    response_model=TimeOffView,
    responses=problems("validation", "not-found", "sessions-in-time-off"),
)
async def add_time_off(
    provider_id: ProviderId,
    body: TimeOffBody,
    access: Annotated[Access, Depends(operation("time-off.add"))],
    mutation: MutationOf,
) -> Response:
    """Takes time off. No slots are offered during it.

    If there are sessions during it that have not begun, say what to do with them: `sessions: "keep"` keeps them, and
    `"cancel"` cancels them on the provider's behalf. Without `sessions`, the request is refused. The answer then lists
    the first hundred of them and says how many there are.
    """
    access.require("provider", provider_id=provider_id)
    time_off = TimeOff(new_id(), body.starts_at, body.ends_at, body.note)
    async with mutation.unit() as unit:
        await commands.add_time_off(unit, provider_id, time_off, body.sessions, mutation.expect_version)
        return mutation.answer(201, TimeOffView.model_validate(time_off), personal_of=provider_id)


@router.get(
    "/v1/providers/{provider_id}/time-off",
    response_model=Page[TimeOffView],
    responses=problems("validation", "not-found"),
)
async def list_time_off(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("time-off.read"))],
    dependencies: DependenciesOf,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Lists the provider's time off by its start."""
    access.require("provider", provider_id=provider_id)
    after: Any = decode_cursor(cursor, datetime, Id)
    async with dependencies.database.reading() as queries:
        rows = await schedules.list_time_off(queries, provider_id, after, limit + 1)
    items, following = page(rows, limit, TimeOffView.model_validate, lambda entry: (entry.starts_at, entry.id))
    return answer(200, Page[TimeOffView](items=items, next_cursor=following))


@router.delete("/v1/providers/{provider_id}/time-off/{time_off_id}", status_code=204, responses=problems("not-found"))
async def remove_time_off(
    provider_id: ProviderId,
    time_off_id: str,
    access: Annotated[Access, Depends(operation("time-off.remove"))],
    mutation: MutationOf,
) -> Response:
    """Removes time off. Slots during it are offered again, as the schedule says."""
    access.require("provider", provider_id=provider_id)
    time_off_id = valid_id(time_off_id, "time off")
    async with mutation.unit() as unit:
        await commands.remove_time_off(unit, provider_id, time_off_id, mutation.expect_version)
        return mutation.answer(204)


def _view(provider_id: str, version: int, body: Any) -> ScheduleView:
    return ScheduleView.model_validate({**body, "provider_id": provider_id, "version": version})
