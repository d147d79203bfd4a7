"""Schedules and time off: what providers publish of their working time (AVAIL-1)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import (
    DateHours,
    Hours,
    SchedulePublished,
    SessionType,
    TimeOffAdded,
    TimeOffRemoved,
    WeeklyHours,
)
from makegood_contracts.ids import is_id, new_id

from makegood_availability.api.models import InsideView, ScheduleBody, ScheduleView, TimeOffBody, TimeOffView
from makegood_availability.api.parameters import DependenciesOf, ProviderId, check_cursor_id
from makegood_availability.handlers.waitlist import plan_look
from makegood_availability.store import schedules
from makegood_availability.store.bodies import DAYS
from makegood_availability.store.holds import sessions_within
from makegood_availability.store.schedules import TimeOff

router = APIRouter(tags=["schedules"])

MOST_NAMED: Final = 100
"""Sessions that the answer to time off names; how many there are it says too."""


@router.put(
    "/v1/providers/{provider_id}/schedule",
    response_model=ScheduleView,
    responses={201: {"model": ScheduleView, "description": "The first one"}, **problems("validation", "not-found")},
)
async def publish_schedule(
    provider_id: ProviderId,
    body: ScheduleBody,
    access: Annotated[Access, Depends(operation("schedule.publish"))],
    mutation: Annotated[Mutation, Depends(mutation())],
) -> Response:
    """Replaces the provider's schedule. Sessions and holds that exist are never touched."""
    access.require("provider", provider_id=provider_id)
    async with mutation.unit() as unit:
        before = await schedules.lock(unit, provider_id)
        mutation.expect_version(before.version if before else 0)
        kept = body.model_dump(mode="json")
        version, sequence = await schedules.publish(unit, provider_id, kept)
        unit.publish(_published(provider_id, version, body), sequence=sequence)
        plan_look(provider_id, unit)
        first = before is None or before.body is None
        return mutation.answer(201 if first else 200, _view(provider_id, version, kept), version=version)


@router.get(
    "/v1/providers/{provider_id}/schedule", response_model=ScheduleView, responses=problems("validation", "not-found")
)
async def read_schedule(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("schedule.read"))],
    dependencies: DependenciesOf,
) -> Response:
    """The provider's schedule as it stands."""
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
    mutation: Annotated[Mutation, Depends(mutation())],
) -> Response:
    """Takes time off: nothing is offered in it any more.

    Where sessions that have not begun lie in it, the request must say what becomes of them: `sessions: "keep"`, or `"cancel"`,
    which cancels them for the provider. Without that it is refused and names them, the first
    hundred with their number.
    """
    access.require("provider", provider_id=provider_id)
    entry = TimeOff(new_id(), body.starts_at, body.ends_at, body.note)
    async with mutation.unit() as unit:
        if entry.ends_at <= unit.now:
            raise invalid("#/ends_at", "Time off that is over already takes nothing off.")
        before = await schedules.lock(unit, provider_id)
        mutation.expect_version(before.version if before else 0)
        inside = await sessions_within(unit, provider_id, entry.starts_at, entry.ends_at)
        if inside and body.sessions is None:
            named = [InsideView.model_validate(session) for session in inside[:MOST_NAMED]]
            raise Problem("sessions-in-time-off", sessions=named, session_count=len(inside))
        version, sequence = await schedules.touch(unit, provider_id)
        await schedules.add_time_off(unit, provider_id, entry)
        plan_look(provider_id, unit)
        unit.publish(
            TimeOffAdded(
                provider_id=provider_id,
                schedule_version=version,
                time_off_id=entry.id,
                starts_at=entry.starts_at,
                ends_at=entry.ends_at,
                cancels=tuple(session.session_id for session in inside) if body.sessions == "cancel" else (),
            ),
            sequence=sequence,
        )
        return mutation.answer(201, TimeOffView.model_validate(entry), personal_of=provider_id)


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
    """The provider's time off, by its start."""
    access.require("provider", provider_id=provider_id)
    after: Any = decode_cursor(cursor, datetime, str)
    check_cursor_id(after)
    async with dependencies.database.reading() as queries:
        rows = await schedules.list_time_off(queries, provider_id, after, limit + 1)
    items, following = page(rows, limit, TimeOffView.model_validate, lambda entry: (entry.starts_at, entry.id))
    return answer(200, Page[TimeOffView](items=items, next_cursor=following))


@router.delete("/v1/providers/{provider_id}/time-off/{time_off_id}", status_code=204, responses=problems("not-found"))
async def remove_time_off(
    provider_id: ProviderId,
    time_off_id: str,
    access: Annotated[Access, Depends(operation("time-off.remove"))],
    mutation: Annotated[Mutation, Depends(mutation())],
) -> Response:
    """Takes time off back: the schedule's hours are offered again."""
    access.require("provider", provider_id=provider_id)
    if not is_id(time_off_id):
        raise not_found("time off")
    async with mutation.unit() as unit:
        # The provider's row first, like every other change, so that no two changes wait for each other in a circle.
        before = await schedules.lock(unit, provider_id)
        if before is None or not await schedules.remove_time_off(unit, provider_id, time_off_id):
            raise not_found("time off")
        mutation.expect_version(before.version)
        version, sequence = await schedules.touch(unit, provider_id)
        plan_look(provider_id, unit)
        unit.publish(
            TimeOffRemoved(provider_id=provider_id, schedule_version=version, time_off_id=time_off_id),
            sequence=sequence,
        )
        return mutation.answer(204)


def _view(provider_id: str, version: int, body: Any) -> ScheduleView:
    return ScheduleView.model_validate({**body, "provider_id": provider_id, "version": version})


def _published(provider_id: str, version: int, body: ScheduleBody) -> SchedulePublished:
    return SchedulePublished(
        provider_id=provider_id,
        schedule_version=version,
        time_zone=body.time_zone,
        specialty=body.specialty,
        session_types=[
            SessionType(length_minutes=kind.length_minutes, modalities=kind.modalities) for kind in body.session_types
        ],
        minimum_notice_minutes=body.minimum_notice_minutes,
        horizon_days=body.horizon_days,
        weekly=tuple(
            WeeklyHours(weekday=DAYS.index(hours.day), start=hours.minutes[0], until=hours.minutes[1])
            for hours in body.weekly
        ),
        exceptions=tuple(
            DateHours(
                day=exception.date,
                hours=tuple(Hours(start=hours.minutes[0], until=hours.minutes[1]) for hours in exception.hours),
            )
            for exception in body.exceptions
        ),
        buffer_before_minutes=body.buffer_before_minutes,
        buffer_after_minutes=body.buffer_after_minutes,
        slot_step_minutes=body.slot_step_minutes,
    )
