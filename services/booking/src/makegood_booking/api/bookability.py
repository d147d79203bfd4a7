"""Why can't I book? (BOOK-8)"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.http.answers import answer, json_bytes
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import invalid, not_found, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.http.structs import struct_of
from makegood_contracts.events import Modality, PlanKind
from makegood_plans.coverage import CoveragePeriod
from pydantic import Field

from makegood_booking.api.models import STANDARD_POLICY, LocalTime, PolicyView
from makegood_booking.api.parameters import DependenciesOf, RoomId
from makegood_booking.api.reason_models import CostsView, ReasonView
from makegood_booking.domain.bookability import Question
from makegood_booking.domain.booking import NO_ZONE, invalid_start
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.time import is_zone, local_text
from makegood_booking.handlers.bookability import BookabilityResult, judge_bookability, read_to_judge

router = APIRouter(tags=["rooms"])

_SLOT: Final = {
    "starts_at": "2026-11-24T09:00:00Z",
    "ends_at": "2026-11-24T09:30:00Z",
    "local_start": "2026-11-24T10:00",
}
_PLAN: Final = {"id": "out-of-pocket-4", "kind": "out_of_pocket", "starts_on": "2026-11-01", "ends_on": None}


class NextSlotView(View):
    """A slot that can be booked now."""

    model_config = example(**_SLOT)

    starts_at: Instant
    ends_at: Instant
    local_start: Annotated[
        LocalTime, Field(description="The start in the requested time zone. Default: the provider's.")
    ]


class CoveringPlanView(View):
    """The plan that covers the member at that time."""

    model_config = example(**_PLAN)

    id: str
    kind: PlanKind
    starts_on: date
    ends_on: date | None


class BookabilityView(View):
    """Whether a session can be booked in the room, all reasons why not, and the next slots that can be booked."""

    model_config = example(
        bookable=True,
        reasons=[],
        can_purchase=True,
        next_slots=[_SLOT],
        length_minutes=30,
        modality="video",
        costs={"credit": 1, "amount": None},
        plan=_PLAN,
        policy=STANDARD_POLICY,
    )

    bookable: Annotated[
        bool,
        Field(description="Whether any of `next_slots` can be booked now. With `starts_at`: whether that session can."),
    ]
    reasons: list[ReasonView]
    can_purchase: Annotated[bool, Field(description="Whether the member's plan allows buying single credits.")]
    next_slots: Annotated[
        list[NextSlotView],
        Field(
            description="At most 5, in order. Empty if a reason rules out all of them. For in-person sessions, both people are free at "
            "these times. `GET /v1/providers/{id}/slots` with a `venue_id` says whether that venue is, too."
        ),
    ]
    length_minutes: Annotated[
        int | None, Field(description="The length of the sessions that this answer is about. Null if there are none.")
    ]
    modality: Annotated[
        Modality | None,
        Field(description="The modality of the sessions that this answer is about. Null if there are none."),
    ]
    costs: Annotated[
        CostsView | None, Field(description="What such a session costs. Null if no plan covers the member.")
    ]
    plan: Annotated[
        CoveringPlanView | None, Field(description="The plan that would pay for the session. Null if there is none.")
    ]
    policy: Annotated[PolicyView, Field(description="The policy that applies to a session booked now.")]


_Bookability: Final = struct_of(BookabilityView)
_NextSlot: Final = struct_of(NextSlotView)
_CoveringPlan: Final = struct_of(CoveringPlanView)
_POLICIES: Final[dict[tuple[str, int], msgspec.Raw]] = {}


@router.get(
    "/v1/rooms/{room_id}/bookability",
    summary="Why can't I book?",
    response_model=BookabilityView,
    responses=problems("not-found", "validation"),
)
async def read_bookability(
    room_id: RoomId,
    access: Annotated[Access, Depends(operation("room.bookability"))],
    dependencies: DependenciesOf,
    starts_at: Annotated[
        Instant | None,
        Query(description="Ask about a session with this start. `bookable` and `reasons` are then about it."),
    ] = None,
    length_minutes: Annotated[
        int | None, Query(ge=5, le=480, description="Ask about sessions of this length. Default: the plan's.")
    ] = None,
    modality: Annotated[
        Modality | None,
        Query(description="Ask about sessions of this modality. Default: the plan's. Venues are not checked."),
    ] = None,
    time_zone: Annotated[
        str | None,
        Query(min_length=1, max_length=64, description="The time zone of `local_start`. Default: the provider's."),
    ] = None,
) -> Response:
    """Tells whether a session can be booked in this room now. If not, it lists all reasons, each with its remedies. The
    room's two parties and support can ask. If something can't be checked right now, the reason is
    `temporary-interruption`.
    """
    room_id = valid_id(room_id, "room")
    if time_zone is not None and not is_zone(time_zone):
        raise invalid("#/time_zone", NO_ZONE.detail, where="query")
    now = dependencies.clock.now()
    async with dependencies.database.reading() as queries:
        policy = await dependencies.policies.current(queries)
        stored = await read_to_judge(queries, room_id, policy, now, starts_at)
        if stored is None:
            raise not_found("room")
        role = access.require("room", member_id=stored.room.member_id, provider_id=stored.room.provider_id)
        if starts_at is not None and (fault := invalid_start(starts_at, policy, now)):
            raise invalid(f"#/{fault.field}", fault.detail, where="query")
        question = Question(starts_at, length_minutes, modality, "provider" if role == "provider" else "member")
        found = await judge_bookability(queries, stored, policy, question, now)
    return answer(200, _view(found, policy, time_zone or found.time_zone))


def _view(found: BookabilityResult, policy: Policy, time_zone: str) -> BookabilityView:
    verdict = found.verdict
    length = timedelta(minutes=verdict.kind.length_minutes) if verdict.kind else timedelta()
    return _Bookability(
        bookable=not verdict.reasons,
        reasons=[ReasonView.of(reason, found.remedy_context) for reason in verdict.reasons],
        can_purchase=verdict.can_purchase,
        next_slots=[
            _NextSlot(starts_at=start, ends_at=start + length, local_start=local_text(start, time_zone))
            for start in verdict.slots
        ],
        length_minutes=verdict.kind.length_minutes if verdict.kind else None,
        modality=verdict.kind.modality if verdict.kind else None,
        costs=None if verdict.costs is None else CostsView.of(verdict.costs),
        plan=_plan(verdict.coverage),
        policy=_policy(policy),
    )


def _policy(policy: Policy) -> Any:
    """The policy as JSON; a version of it never changes."""
    found = _POLICIES.get((policy.id, policy.version))
    if found is None:
        found = _POLICIES[policy.id, policy.version] = msgspec.Raw(json_bytes(PolicyView.of(policy)))
    return found


def _plan(coverage: CoveragePeriod | None) -> CoveringPlanView | None:
    if coverage is None:
        return None
    return _CoveringPlan(
        id=coverage.plan.id, kind=coverage.plan.kind, starts_on=coverage.starts_on, ends_on=coverage.ends_on
    )
