"""Why can't I book? (BOOK-8)"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.events import Modality
from makegood_contracts.reasons import Reason, ReasonCode
from pydantic import Field

from makegood_booking.api.models import ROOM_ID, LocalTime
from makegood_booking.api.parameters import PartsOf, RoomId, known_id
from makegood_booking.domain.bookability import Question
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.remedies import Action, Circumstances, Remedy, needs_more, remedy
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import Session
from makegood_booking.domain.time import is_zone, local_text
from makegood_booking.lookout import Found, circumstances_of
from makegood_booking.parts import Parts
from makegood_booking.store.rooms import read_rooms

router = APIRouter(tags=["rooms"])

_SLOT: Final = {
    "starts_at": "2026-11-24T09:00:00Z",
    "ends_at": "2026-11-24T09:30:00Z",
    "local_start": "2026-11-24T10:00",
}


class RemedyView(View):
    """What helps."""

    model_config = example(action="restart_therapy", href=f"/v1/rooms/{ROOM_ID}/restart")

    action: Action
    href: Annotated[str | None, Field(description="Where, in this API; null where it is done elsewhere.")] = None


class ReasonView(View):
    """Why nothing can be booked."""

    model_config = example(
        code="room-closed",
        detail="The room is closed.",
        remedy={"action": "restart_therapy", "href": f"/v1/rooms/{ROOM_ID}/restart"},
    )

    code: ReasonCode
    detail: str
    remedy: RemedyView


class NextSlotView(View):
    """A session that can be booked now."""

    model_config = example(**_SLOT)

    starts_at: Instant
    ends_at: Instant
    local_start: Annotated[LocalTime, Field(description="The start in the zone asked for, or the provider's.")]


class BookabilityView(View):
    """Whether a session can be booked in the room, every reason why not, and the next slots that can."""

    model_config = example(
        bookable=True, reasons=[], can_purchase=True, next_slots=[_SLOT], length_minutes=30, modality="video"
    )

    bookable: Annotated[
        bool,
        Field(description="Something in `next_slots` can be booked now; with `starts_at`: that very session can be."),
    ]
    reasons: list[ReasonView]
    can_purchase: Annotated[bool, Field(description="Whether single credits can be bought on the member's plan.")]
    next_slots: Annotated[
        list[NextSlotView], Field(description="At most 5, in order; none while a reason forbids them all.")
    ]
    length_minutes: Annotated[int | None, Field(description="Of the sessions that this is about; null without any.")]
    modality: Annotated[Modality | None, Field(description="Of the sessions that this is about; null without any.")]


@router.get(
    "/v1/rooms/{room_id}/bookability",
    summary="Why can't I book?",
    response_model=BookabilityView,
    responses=problems("not-found", "validation"),
)
async def read_bookability(
    room_id: RoomId,
    access: Annotated[Access, Depends(operation("room.bookability"))],
    parts: PartsOf,
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
    room_id = known_id(room_id, "room")
    if time_zone is not None and not is_zone(time_zone):
        raise invalid("#/time_zone", "A time zone of the IANA database, such as `Europe/Berlin`.", where="query")
    now = parts.clock.now()
    async with parts.database.reading() as queries:
        place = (await read_rooms([room_id], queries)).get(room_id)
        if place is None:
            raise not_found("room")
        access.require("room", member_id=place.room.member_id, provider_id=place.room.provider_id)
        policy = await parts.policies.current(queries)
        _check_start(starts_at, policy, now)
        question = Question(starts_at, length_minutes, modality)
        found = await parts.lookout.judge(place, policy, question, now, queries)
    return answer(200, _view(found, time_zone or found.time_zone))


def _check_start(starts_at: datetime | None, policy: Policy, now: datetime) -> None:
    if starts_at is None:
        return
    if starts_at <= now:
        raise invalid("#/starts_at", "The start must lie in the future.", where="query")
    if starts_at > now + timedelta(days=policy.horizon_days):
        raise invalid("#/starts_at", f"The start must lie within {policy.horizon_days} days.", where="query")


def _view(found: Found, time_zone: str) -> BookabilityView:
    verdict = found.verdict
    length = timedelta(minutes=verdict.kind.length_minutes) if verdict.kind else timedelta()
    return BookabilityView(
        bookable=not verdict.reasons,
        reasons=[
            ReasonView(
                code=reason.code,
                detail=reason.detail,
                remedy=RemedyView.model_validate(remedy(reason.code, found.circumstances)),
            )
            for reason in verdict.reasons
        ],
        can_purchase=verdict.can_purchase,
        next_slots=[
            NextSlotView(starts_at=start, ends_at=start + length, local_start=local_text(start, time_zone))
            for start in verdict.slots
        ],
        length_minutes=verdict.kind.length_minutes if verdict.kind else None,
        modality=verdict.kind.modality if verdict.kind else None,
    )


def plain_remedy(helps: Remedy) -> dict[str, str]:
    """`{action, href?}`, as reasons in problems carry it."""
    return {"action": helps.action} if helps.href is None else {"action": helps.action, "href": helps.href}


def with_remedies(reasons: Iterable[Reason], at: Circumstances) -> list[dict[str, Any]]:
    """The reasons of a refused booking, each with what helps: the same words as in bookability (BOOK-8)."""
    return [
        {"code": reason.code, "detail": reason.detail, "remedy": plain_remedy(remedy(reason.code, at))}
        for reason in reasons
    ]


def at_room(room: Room) -> Circumstances:
    """Whom a refusal in this room is about."""
    return Circumstances(room.id, room.member_id, room.provider_id)


def about(session: Session, purchasable: bool | None) -> Circumstances:
    """Whom a refusal of this session's time is about; `purchasable`: as credits answered."""
    booked = session.booked
    return Circumstances(booked.room_id, booked.member_id, booked.provider_id, purchasable=bool(purchasable))


async def refusal(parts: Parts, at: Circumstances, reasons: Iterable[Reason], **members: Any) -> Problem:
    """The problem of a booking or move that these reasons forbid: the first is its type, each has its remedy (BOOK-8)."""
    listed = list(reasons)
    if needs_more(reason.code for reason in listed):
        async with parts.database.reading() as queries:
            at = await circumstances_of(at, parts.clock.now(), queries)
    return Problem(listed[0].code, listed[0].detail, reasons=with_remedies(listed, at), **members)
