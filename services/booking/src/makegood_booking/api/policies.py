"""Policies (BOOK-3): the current one, its earlier versions, and a new version by ops."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import RequestModel, Whole, example
from makegood_chassis.http.mutations import MutationOf
from makegood_chassis.http.openapi import LOCATION
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, operation
from pydantic import Field

from makegood_booking.api.models import PolicyView
from makegood_booking.api.parameters import DependenciesOf
from makegood_booking.handlers.commands import policies as commands
from makegood_booking.store import policies as store

router = APIRouter(tags=["policies"])

_Number = Annotated[Whole, Field(ge=0, le=10_000)]


class PolicyRequest(RequestModel):
    """The numbers to change. All others stay as they are."""

    model_config = example(notice_hours=24, reminder_hours=[48, 2])

    id: Annotated[
        str | None, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$", description="The policy's name.")
    ] = None
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
    """Reads the current policy. A session booked now keeps it."""
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
    """Lists all versions of the policy, newest first."""
    before = decode_cursor(cursor, int)
    async with dependencies.database.reading() as queries:
        found = await store.list_policies(queries, min(before[0], 2**31 - 1) if before else None, limit + 1)
    items, following = page(found, limit, PolicyView.of, lambda policy: (policy.version,))
    return answer(200, Page[PolicyView](items=items, next_cursor=following))


@router.post(
    "/v1/policies",
    status_code=201,
    response_model=PolicyView,
    responses={
        200: {
            "model": PolicyView,
            "description": "The numbers do not differ from the current version, which is the answer",
        },
        201: {"description": "The new version. It applies to sessions booked from now on", "headers": LOCATION},
    },
)
async def change_policy(
    body: PolicyRequest,
    access: Annotated[Access, Depends(operation("policy.change"))],
    mutation: MutationOf,
    dependencies: DependenciesOf,
) -> Response:
    """Creates a new version of the policy. Numbers that you leave out stay as they are. Existing sessions keep their version.

    `If-Match` is compared with the current version. All processes use the new version within seconds.
    """
    numbers: dict[str, Any] = body.model_dump(exclude_none=True)
    if "reminder_hours" in numbers:
        numbers["reminder_hours"] = tuple(numbers["reminder_hours"])

    async with mutation.unit() as unit:
        policy, changed = await commands.change_policy(
            unit, dependencies, numbers, lambda latest: mutation.expect_version(latest.version)
        )
        location = "/v1/policies/current" if changed else None
        return mutation.answer(
            201 if changed else 200, PolicyView.of(policy), version=policy.version, location=location
        )
