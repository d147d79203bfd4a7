"""GET /v1/members/{member_id}/enrolment: which plan the member is on, and what a session costs (BOOK-3)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from makegood_plans.coverage import next_credits
from pydantic import Field

from makegood_credits.api.models import ENROLMENT, EnrolmentView, MemberId, MoneyView, NextCreditsView, PlanView
from makegood_credits.api.parameters import DependenciesOf
from makegood_credits.domain.coverage import spoken_of
from makegood_credits.store import reads

router = APIRouter(tags=["credits"])

EnrolmentStatus = Literal["current", "ahead", "ended"]
_PLAN: Final = PlanView.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index]


class SessionCostsView(View):
    """What one session costs: a credit, or the co-pay."""

    model_config = example(credit=1, amount=None)

    credit: Annotated[int | None, Field(description="Number of credits. Null if the plan takes a co-pay instead.")] = (
        None
    )
    amount: Annotated[MoneyView | None, Field(description="The co-pay. Null if the session costs a credit.")] = None


class CurrentEnrolmentView(EnrolmentView):
    """The member's plan, its dates, and what a session costs."""

    has_etag = True
    model_config = example(
        **ENROLMENT,
        status="current",
        covers_from="2026-11-01T00:00:00Z",
        covers_until=None,
        plan=_PLAN,
        costs={"credit": 1, "amount": None},
        next_credits={"available_from": "2026-12-01T00:00:00Z", "credits": 4},
    )

    status: Annotated[
        EnrolmentStatus,
        Field(description="`ahead`: the plan has not started yet. `ended`: it was the member's last plan."),
    ]
    covers_from: Instant
    covers_until: Annotated[Instant | None, Field(description="When coverage ends. Null if it has no end.")]
    plan: PlanView
    costs: Annotated[
        SessionCostsView | None,
        Field(description="What a live session costs. Null if the plan does not include live sessions."),
    ]
    next_credits: Annotated[
        NextCreditsView | None, Field(description="The credits that the plan grants next. Null if it grants no more.")
    ]


@router.get(
    "/v1/members/{member_id}/enrolment",
    summary="Read the current plan",
    response_model=CurrentEnrolmentView,
    responses=problems("not-found", "validation"),
)
async def read_enrolment(
    member_id: MemberId,
    access: Annotated[Access, Depends(operation("enrolment.read"))],
    dependencies: DependenciesOf,
    log: Log,
) -> Response:
    """Reads the member's current plan, its dates, and what a session costs. Use it to show the price before booking.

    If there is no current plan, the answer is the next plan, or else the last one. It is 404 if the member never had a
    plan.
    """
    role = access.require("member", member_id=member_id)
    now = dependencies.clock.now()
    async with dependencies.database.reading() as queries:
        enrolments, sequence = await reads.enrolments_of(queries, member_id)
        await log.record(queries, access, role, member_id)
    found = spoken_of(enrolments, now)
    if found is None:
        raise not_found("enrolment")
    coming = next_credits(enrolments, now, now)
    view = CurrentEnrolmentView(
        id=found.id,
        member_id=found.member_id,
        plan_id=found.plan_id,
        starts_on=found.starts_on,
        ends_on=found.ends_on,
        time_zone=found.time_zone,
        status="ahead" if found.covers_from > now else "current" if found.covers(now) else "ended",
        covers_from=found.covers_from,
        covers_until=found.covers_until,
        plan=PlanView.model_validate(found.plan),
        costs=None if found.plan.costs is None else SessionCostsView.model_validate(found.plan.costs),
        next_credits=NextCreditsView.model_validate(coming) if coming else None,
    )
    return answer(200, view, version=sequence, varies=True)
