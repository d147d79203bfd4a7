"""Policies (BOOK-3): what stands, what stood, and a new version by ops."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import RequestModel, Whole, example
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import LOCATION
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import invalid
from makegood_chassis.http.rights import Access, operation
from pydantic import Field

from makegood_booking.api.models import PolicyView
from makegood_booking.api.parameters import DependenciesOf
from makegood_booking.domain.policy import changed, impossible

router = APIRouter(tags=["policies"])

_Number = Annotated[Whole, Field(ge=0, le=10_000)]


class PolicyRequest(RequestModel):
    """The numbers that change; the others stay as they are in the current version."""

    model_config = example(notice_hours=24, reminder_hours=[48, 2])

    id: Annotated[str | None, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$", description="Its name.")] = (
        None
    )
    notice_hours: _Number | None = None
    confirm_hours: _Number | None = None
    confirm_short_hours: _Number | None = None
    short_notice_hours: _Number | None = None
    reconfirm_hours: _Number | None = None
    reminder_hours: Annotated[list[_Number] | None, Field(max_length=8)] = None
    join_minutes: _Number | None = None
    grace_minutes: _Number | None = None
    no_show_minutes: _Number | None = None
    cooling_off_minutes: _Number | None = None
    together_minutes: _Number | None = None
    answer_hours: _Number | None = None
    inactivity_days: _Number | None = None
    offer_minutes: _Number | None = None
    hold_minutes: _Number | None = None
    decide_minutes: _Number | None = None
    horizon_days: _Number | None = None
    shortest_minutes: _Number | None = None
    longest_minutes: _Number | None = None
    adjustment_limit: _Number | None = None
    co_pay_due_days: _Number | None = None
    free_change_days: _Number | None = None
    invoice_limit_minor: Annotated[Whole | None, Field(ge=0, le=100_000_000)] = None


@router.get("/v1/policies/current", response_model=PolicyView)
async def read_current_policy(
    access: Annotated[Access, Depends(operation("policy.read"))], dependencies: DependenciesOf
) -> Response:
    """The policy that a session booked now is under, and stays under."""
    async with dependencies.database.reading() as queries:
        policy = await dependencies.policies.current(queries)
    return answer(200, PolicyView.of(policy), version=policy.version)


@router.get("/v1/policies", response_model=Page[PolicyView])
async def list_policies(
    access: Annotated[Access, Depends(operation("policy.list"))],
    dependencies: DependenciesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every version, newest first."""
    before = decode_cursor(cursor, int)
    async with dependencies.database.reading() as queries:
        found = await dependencies.policies.list(min(before[0], 2**31 - 1) if before else None, limit + 1, queries)
    items, following = page(found, limit, PolicyView.of, lambda policy: (policy.version,))
    return answer(200, Page[PolicyView](items=items, next_cursor=following))


@router.post(
    "/v1/policies",
    status_code=201,
    response_model=PolicyView,
    responses={
        200: {"model": PolicyView, "description": "Nothing differs from the current version; this is it"},
        201: {"description": "The new version, for sessions booked from now on", "headers": LOCATION},
    },
)
async def change_policy(
    body: PolicyRequest,
    access: Annotated[Access, Depends(operation("policy.change"))],
    mutation: Annotated[Mutation, Depends(mutation())],
    dependencies: DependenciesOf,
) -> Response:
    """Makes a new version out of the current one. Sessions that are booked already keep theirs.

    `If-Match` is compared with the current version. Other processes book under the new one within seconds.
    """
    given: dict[str, Any] = body.model_dump(exclude_none=True)
    if "reminder_hours" in given:
        given["reminder_hours"] = tuple(given["reminder_hours"])
    async with mutation.unit() as unit:
        latest = await dependencies.policies.lock_latest(unit)
        mutation.expect_version(latest.version)
        wanted = replace(latest, **given)
        fault = impossible(wanted)
        if fault is not None:
            raise invalid(f"#/{fault[0]}", fault[1])
        if wanted == latest:
            return mutation.answer(200, PolicyView.of(latest), version=latest.version)
        wanted = replace(wanted, version=latest.version + 1)
        await dependencies.policies.add(wanted, unit)
        # Version 1 is told by nobody, so the second is the first event of its key.
        unit.publish(changed(wanted, unit.now), sequence=latest.version, cause=mutation.cause)
        return mutation.answer(201, PolicyView.of(wanted), version=wanted.version, location="/v1/policies/current")
