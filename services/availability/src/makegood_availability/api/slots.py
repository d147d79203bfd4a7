"""Slot search and the availability check (AVAIL-2, RESC-2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from makegood_calendar.slot_rules import IN_PERSON
from makegood_calendar.zones import local_text
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import Instant
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import invalid
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.http.structs import answer_page, struct_of
from makegood_contracts.events import Modality

from makegood_availability.api.models import AvailabilityMessage, AvailabilityView, SlotView
from makegood_availability.api.parameters import (
    DependenciesOf,
    How,
    Length,
    ProviderId,
    VenueOf,
    Zone,
    optional_id,
)
from makegood_availability.handlers.slots import SlotQuestion, find_starts, who_is_not_free

router = APIRouter(tags=["slots"])

LONGEST_RANGE: Final = timedelta(days=62)
_MESSAGES: Final[Mapping[str | None, AvailabilityMessage]] = {
    None: "Slot available",
    "provider": "Provider is not available",
    "venue": "Venue is not available",
    "member": "Member is not available",
}


_Slot: Final = struct_of(SlotView)


@router.get(
    "/v1/providers/{provider_id}/slots",
    response_model=Page[SlotView],
    responses=problems("validation", "not-found"),
)
async def search_slots(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("slots.search"))],
    dependencies: DependenciesOf,
    start: Annotated[Instant, Query(alias="from", description="Slots start at or after this.")],
    end: Annotated[Instant, Query(alias="to", description="Slots start before this; at most 62 days after `from`.")],
    length_minutes: Length,
    modality: How,
    venue_id: VenueOf = None,
    time_zone: Annotated[
        Zone | None, Query(description="Time zone of `local_start`, by default the provider's.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Lists the slots that can be booked now.

    For a member, slots that overlap their own sessions are left out, because they could not be booked.
    """
    if start >= end:
        raise invalid("#/to", "`to` must be later than `from`.", where="query")
    if end - start > LONGEST_RANGE:
        raise invalid("#/to", "`to` may be at most 62 days after `from`.", where="query")
    _check_venue(modality, venue_id)
    last = decode_cursor(cursor, datetime)
    if last is not None:
        start = max(start, last[0] + datetime.resolution)
    question = _question(access, provider_id, length_minutes, modality, venue_id)
    async with dependencies.database.reading() as queries:
        schedule, starts = await find_starts(queries, dependencies, question, start, end, limit + 1)
    if schedule is None:
        return answer_page([])
    zone = schedule.hours.zone if time_zone is None else ZoneInfo(time_zone)
    length = question.length

    def view(at: datetime) -> SlotView:
        return _Slot(starts_at=at, ends_at=at + length, local_start=local_text(at, zone))

    return answer_page(*page(starts, limit, view, lambda at: (at,)))


@router.get(
    "/v1/providers/{provider_id}/availability",
    response_model=AvailabilityView,
    responses=problems("validation", "not-found"),
)
async def check_availability(
    provider_id: ProviderId,
    access: Annotated[Access, Depends(operation("slots.check"))],
    dependencies: DependenciesOf,
    starts_at: Annotated[Instant, Query(description="Start of the session.")],
    length_minutes: Length,
    modality: How,
    venue_id: VenueOf = None,
    session_id: Annotated[
        str | None, Query(max_length=64, description="A session that would move here. Its own slot counts as free.")
    ] = None,
) -> Response:
    """Tells whether the provider, the venue and the member are free for this session. If not, the answer names the
    first that is not.

    The member is the caller. If a provider gives one of their sessions, the member is that session's. The answer never
    says what the member is doing.

    Minimum notice, grid and horizon apply to everybody except the provider. If the provider moves a session, it keeps
    the kind that was booked.
    """
    _check_venue(modality, venue_id)
    optional_id("#/session_id", session_id)
    question = _question(access, provider_id, length_minutes, modality, venue_id)
    by_provider = "provider" in access.caller.roles and access.caller.subject == provider_id
    async with dependencies.database.reading() as queries:
        missing = await who_is_not_free(
            queries, dependencies, question, starts_at, by_provider=by_provider, session_id=session_id
        )
    return answer(200, AvailabilityView(available=missing is None, message=_MESSAGES[missing]))


def _check_venue(modality: Modality, venue_id: str | None) -> None:
    if modality == IN_PERSON and venue_id is None:
        raise invalid("#/venue_id", "An in-person session needs a venue.", where="query")
    if modality != IN_PERSON and venue_id is not None:
        raise invalid("#/venue_id", "Only an in-person session can have a venue.", where="query")
    optional_id("#/venue_id", venue_id)


def _question(
    access: Access, provider_id: str, length_minutes: int, modality: Modality, venue_id: str | None
) -> SlotQuestion:
    return SlotQuestion(
        provider_id=provider_id,
        length_minutes=length_minutes,
        modality=modality,
        venue_id=venue_id,
        member_id=access.caller.subject if "member" in access.caller.roles else None,
    )
