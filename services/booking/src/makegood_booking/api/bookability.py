"""Why can't I book? (BOOK-8)"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Actor, Modality, PlanKind
from makegood_contracts.reasons import Reason
from makegood_plans.coverage import CoveragePeriod
from pydantic import Field

from makegood_booking.api.models import MORE_OF_POLICY, POLICY, POLICY_TEXT, LocalTime, PolicyView
from makegood_booking.api.parameters import DependenciesOf, RoomId, valid_id
from makegood_booking.api.reason_models import CostsView, ReasonView
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.bookability import Question
from makegood_booking.domain.booking import BookingRequest
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.remedies import RemedyContext, needs_more
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.time import is_zone, local_text
from makegood_booking.handlers.bookability import BookabilityResult, remedy_context_of
from makegood_booking.store.rooms import RoomToBook, read_rooms

router = APIRouter(tags=["rooms"])

_SLOT: Final = {
    "starts_at": "2026-11-24T09:00:00Z",
    "ends_at": "2026-11-24T09:30:00Z",
    "local_start": "2026-11-24T10:00",
}
_PLAN: Final = {"id": "out-of-pocket-4", "kind": "out_of_pocket", "starts_on": "2026-11-01", "ends_on": None}


class NextSlotView(View):
    """A session that can be booked now."""

    model_config = example(**_SLOT)

    starts_at: Instant
    ends_at: Instant
    local_start: Annotated[LocalTime, Field(description="The start in the zone asked for, or the provider's.")]


class CoveringPlanView(View):
    """The plan that the member is on then, as far as booking knows it."""

    model_config = example(**_PLAN)

    id: str
    kind: PlanKind
    starts_on: date
    ends_on: date | None


class BookabilityView(View):
    """Whether a session can be booked in the room, every reason why not, and the next slots that can."""

    model_config = example(
        bookable=True,
        reasons=[],
        can_purchase=True,
        next_slots=[_SLOT],
        length_minutes=30,
        modality="video",
        costs={"credit": 1, "amount": None},
        plan=_PLAN,
        policy={**POLICY, **MORE_OF_POLICY, "text": POLICY_TEXT},
    )

    bookable: Annotated[
        bool,
        Field(description="Something in `next_slots` can be booked now; with `starts_at`: that very session can be."),
    ]
    reasons: list[ReasonView]
    can_purchase: Annotated[bool, Field(description="Whether single credits can be bought on the member's plan.")]
    next_slots: Annotated[
        list[NextSlotView],
        Field(
            description="At most 5, in order; none while a reason forbids them all. In person they are the times of the two people: "
            "whether a venue is free then, `GET /v1/providers/{id}/slots` says for each `venue_id`."
        ),
    ]
    length_minutes: Annotated[int | None, Field(description="Of the sessions that this is about; null without any.")]
    modality: Annotated[Modality | None, Field(description="Of the sessions that this is about; null without any.")]
    costs: Annotated[
        CostsView | None, Field(description="What such a session costs (BOOK-3); null while no plan covers the member.")
    ]
    plan: Annotated[CoveringPlanView | None, Field(description="The plan that would pay for it; null without any.")]
    policy: Annotated[PolicyView, Field(description="The cancellation policy that a session booked now stays under.")]


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
        Instant | None, Query(description="Asks about this very start; then `bookable` and `reasons` are about it.")
    ] = None,
    length_minutes: Annotated[
        int | None, Query(ge=5, le=480, description="Asks about sessions of this length; default: the plan's.")
    ] = None,
    modality: Annotated[
        Modality | None,
        Query(description="Asks about sessions of this kind; default: the plan's. Venues are not looked at."),
    ] = None,
    time_zone: Annotated[
        str | None, Query(min_length=1, max_length=64, description="Zone of `local_start`; default: the provider's.")
    ] = None,
) -> Response:
    """Whether a session can be booked in this room now, and every reason why not, each with what helps.

    For the room's parties and support. What cannot be found out just now is the reason `temporary-interruption`.
    """
    room_id = valid_id(room_id, "room")
    if time_zone is not None and not is_zone(time_zone):
        raise invalid("#/time_zone", "A time zone of the IANA database, such as `Europe/Berlin`.", where="query")
    now = dependencies.clock.now()
    async with dependencies.database.reading() as queries:
        place = (await read_rooms([room_id], queries)).get(room_id)
        if place is None:
            raise not_found("room")
        role = access.require("room", member_id=place.room.member_id, provider_id=place.room.provider_id)
        policy = await dependencies.policies.current(queries)
        _check_start(starts_at, policy, now)
        question = Question(starts_at, length_minutes, modality, "provider" if role == "provider" else "member")
        found = await dependencies.bookability.judge(place, policy, question, now, queries)
    return answer(200, _view(found, policy, time_zone or found.time_zone))


def _check_start(starts_at: datetime | None, policy: Policy, now: datetime) -> None:
    if starts_at is None:
        return
    if starts_at <= now:
        raise invalid("#/starts_at", "The start must lie in the future.", where="query")
    if starts_at > now + timedelta(days=policy.horizon_days):
        raise invalid("#/starts_at", f"The start must lie within {policy.horizon_days} days.", where="query")


def _view(found: BookabilityResult, policy: Policy, time_zone: str) -> BookabilityView:
    verdict = found.verdict
    length = timedelta(minutes=verdict.kind.length_minutes) if verdict.kind else timedelta()
    return BookabilityView(
        bookable=not verdict.reasons,
        reasons=[ReasonView.of(reason, found.remedy_context) for reason in verdict.reasons],
        can_purchase=verdict.can_purchase,
        next_slots=[
            NextSlotView(starts_at=start, ends_at=start + length, local_start=local_text(start, time_zone))
            for start in verdict.slots
        ],
        length_minutes=verdict.kind.length_minutes if verdict.kind else None,
        modality=verdict.kind.modality if verdict.kind else None,
        costs=None if verdict.costs is None else CostsView.model_validate(verdict.costs),
        plan=_plan(verdict.coverage),
        policy=PolicyView.of(policy),
    )


def _plan(coverage: CoveragePeriod | None) -> CoveringPlanView | None:
    if coverage is None:
        return None
    return CoveringPlanView(
        id=coverage.plan.id, kind=coverage.plan.kind, starts_on=coverage.starts_on, ends_on=coverage.ends_on
    )


def with_remedies(reasons: Iterable[Reason], at: RemedyContext) -> list[dict[str, Any]]:
    """The reasons of a refused booking, each with what helps: the same words as in bookability (BOOK-8)."""
    return [ReasonView.of(reason, at).model_dump(mode="json", exclude_none=True) for reason in reasons]


def at_room(room: Room) -> RemedyContext:
    """Whom a refusal in this room is about."""
    return RemedyContext(room.id, room.member_id, room.provider_id)


async def refusal(dependencies: Dependencies, at: RemedyContext, reasons: Iterable[Reason], **members: Any) -> Problem:
    """The problem of a booking or move that these reasons forbid: the first is its type, each has its remedy (BOOK-8)."""
    listed = list(reasons)
    if needs_more(reason.code for reason in listed):
        async with dependencies.database.reading() as queries:
            at = await remedy_context_of(at, dependencies.clock.now(), queries)
    return Problem(listed[0].code, listed[0].detail, reasons=with_remedies(listed, at), **members)


async def refused_at_once(
    dependencies: Dependencies, place: RoomToBook, request: BookingRequest, by: Actor, reasons: Sequence[Reason]
) -> Problem:
    """BOOK-8: the problem of a booking that booking itself refuses: these reasons, and then what else bookability knows."""
    question = Question(
        request.starts_at, request.length_minutes, request.modality, "provider" if by == "provider" else "support"
    )
    now = dependencies.clock.now()
    async with dependencies.database.reading() as queries:
        policy = await dependencies.policies.current(queries)
        found = await dependencies.bookability.judge(place, policy, question, now, queries)
    named = {reason.code for reason in reasons}
    listed = [*reasons, *(reason for reason in found.verdict.reasons if reason.code not in named)]
    return Problem(listed[0].code, listed[0].detail, reasons=with_remedies(listed, found.remedy_context))
